"""Runs of the SAPO experiment: sharing ratios, filtered and negative controls, specialists.

* **Ratios.** Agents with one base model of a low pass rate; 8/0, 6/2, 4/4 and 2/6 own and external
  groups in an update.
* **Filtered control.** 8/0 from twice the questions, of which groups without a gradient are
  dropped, as they are from the external ones.
* **High base.** 8/0 and 4/4 from base models of a pass rate near one quarter.
* **Right only.** 4/4 in which the negative advantages of external responses are left out.
* **Specialists.** Half of the agents were fine-tuned on two of the four families only, the other
  half on the other two; all get questions of all four. 8/0, 4/4, right only, filtered.
* **Oracle.** 4/4 where half of the shared responses are true solutions, with and (``oracle_right``)
  without the negative advantages of the others: what shared text could do.
* **Junk** (full scale). 4/4 where some agents share random text before the right answer.

Shapes: ``S`` seeds, ``R`` rounds, ``N`` agents, ``F`` families.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.sapo.config import Config, ratio_name
from experiments.sapo.models import (
    FAMILIES,
    MAX_NEW_TOKENS,
    NEWLINE,
    TOKENIZER,
    Data,
    base_models,
    draw_data,
    language_model,
)
from jaxswarm import agents, language, rollout
from jaxswarm.systems import sapo


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all arms.

    Returns:
        ``low``, ``high`` and ``specialists``, one for each kind of base models: dicts from arm
        (``"8_0"``, ``"4_4"``, ``"filtered"``, ``"oracle"``, …) to ``reward [S, R]`` (mean over all
        own responses of all agents, before the update), ``live [S]`` (share of own groups with a
        gradient), ``missing [S]`` (padding groups of an update), ``bytes [S]`` (sent by an agent in
        a round) and ``passed [S, N, F]`` (pass rate on held-out questions after the last round);
        and ``start``, a dict from kind to pass rates ``[S, N, F]`` of the base models.
    """
    progress("base models")
    data, size = draw_data(config), config.agents
    bases = base_models(config, data)
    half = np.repeat([0, 1], size // 2)
    swarms = {
        "low": jax.tree.map(lambda x: np.repeat(x[:, None], size, axis=1), bases["base"]),
        "high": jax.tree.map(lambda x: np.repeat(x[:, None], size, axis=1), bases["high"]),
        "specialists": jax.tree.map(lambda x: x[:, half], bases["specialists"]),
    }
    measure = _measure(config, data)
    results: Results = {"start": {name: measure(swarm) for name, swarm in swarms.items()}}
    progress("compiling")
    runner = _runner(config, data, swarms["low"])

    def record(task: tuple[str, str, Arm]) -> dict[str, np.ndarray]:
        kind, arm, numbers = task
        progress(f"{kind}: {arm}")
        program = junk if arm == "junk" else runner
        found, params = program(numbers, swarms[kind])
        return found | {"passed": measure(params)}

    tasks = _tasks(config)
    if config.junk:
        forge = sapo.padded_answers(NEWLINE, TOKENIZER.vocab_size)
        junk = _runner(config, data, swarms["low"], forge)
    with ThreadPoolExecutor(2) as pool:  # one arm on each of two cores
        for (kind, arm, _), found in zip(tasks, pool.map(record, tasks), strict=True):
            results.setdefault(kind, {})[arm] = found
    return results


class Arm(NamedTuple):
    """Numbers that the compiled program takes as arguments.

    Attributes:
        lr: Adam's step size.
        external: external groups of an update.
        negative_weight: factor of the negative advantages of external responses.
        forging: ``bool[N]``, agents that share forged packets.
        filtered: whether own groups come from twice the questions, without those that have no
            gradient.
    """

    lr: Any
    external: Any
    negative_weight: Any
    forging: Any
    filtered: Any = False


def _tasks(config: Config) -> list[tuple[str, str, Arm]]:
    """Base models, name and numbers of every arm, in the order in which they run."""
    each, none = config.questions // 2, np.zeros(config.agents, bool)
    alone, even = ratio_name(config, 0), ratio_name(config, each)
    sizes = {"low": config.lr, "high": config.lr_high, "specialists": config.lr_specialists}
    tasks = []

    def add(kind: str, arm: str, external: int, **changes: Any) -> None:
        taught = kind == "specialists" and "negative_weight" in changes
        lr = config.lr_taught if taught else sizes[kind]
        tasks.append((kind, arm, Arm(lr, external, 1.0, none)._replace(**changes)))

    for external in (0, *config.external):
        add("low", ratio_name(config, external), external)
    for kind in ("high", "specialists"):
        add(kind, alone, 0)
        add(kind, even, each)
    for kind in ("low", "high", "specialists"):
        add(kind, "right_only", each, negative_weight=0.0)
    for kind in ("low", "specialists"):
        add(kind, "filtered", 0, filtered=True)
        add(kind, "oracle_right", each, forging=~none, negative_weight=0.0)
    add("specialists", "oracle", each, forging=~none)
    if config.junk:
        add("low", "junk", each, forging=np.arange(config.agents) < config.junk)
    return tasks


def _runner(
    config: Config, data: Data, params: Any, forge: Any = None
) -> Callable[[Arm, Any], tuple[dict[str, np.ndarray], Any]]:
    """Compile ``(arm, params) -> (measurements, params)``, one program for all arms.

    Filtering draws its own groups from two samples of questions; other arms skip the second.
    """
    n, groups = config.agents, config.questions
    model = language_model(config.width, config.layers)
    reward = language.exact_match_reward(NEWLINE)
    forge = forge or sapo.solved()
    text_bytes = sapo.token_bytes(TOKENIZER)

    def run_one(arm: Arm, key: Any, params: Any) -> Any:
        learner = sapo.sapo(
            model,
            optax.adam(arm.lr),
            reward,
            local=groups - arm.external,
            external=arm.external,
            num_groups=groups,
            num_samples=config.samples,
            max_new_tokens=MAX_NEW_TOKENS,
            filter_local=arm.filtered,
            negative_weight=arm.negative_weight,
        )

        def step(key: Any, state: Any, inputs: None) -> Any:
            draw_key, sample_key, forge_key, update_key = jax.random.split(key, 4)
            rows = len(FAMILIES) * jax.random.randint(
                draw_key, (2, n, groups), 0, config.pool // len(FAMILIES)
            )
            rows = rows + jnp.arange(groups) % len(FAMILIES)
            problems = jax.tree.map(lambda x: jnp.asarray(x)[rows], data.training)
            keys = jax.random.split(sample_key)
            shapes = jax.eval_shape(
                learner.sample, keys[0], state, jax.tree.map(lambda x: x[0], problems)
            )

            def sample(inputs: Any) -> Any:
                index, key, problems = inputs
                return jax.lax.cond(
                    (index == 0) | arm.filtered,
                    lambda: learner.sample(key, state, problems),
                    lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes),
                )

            sampled = jax.lax.map(sample, (jnp.arange(2), keys, problems))
            rewards, own = jax.tree.map(lambda x: jnp.concatenate(x, axis=1), sampled)
            sent, asked = jax.tree.map(lambda x: x[0], (sampled[1], problems))
            forged = jax.vmap(forge)(agents.keys(forge_key, n), sent, asked)
            sent = agents.where(arm.forging, forged, sent)
            pool = jax.tree.map(lambda x: x[None], sent)
            state, info = learner.update(
                update_key, state, own, rewards, pool, jnp.ones((1, n), bool)
            )
            size = jnp.where(arm.external > 0, n - 1.0, 0.0) * sapo.packet_bytes(sent, text_bytes)
            share = jnp.where(arm.filtered, 1.0, 2.0)  # of questions that were sampled: all, half
            records = (share * info.reward, share * info.live, info.missing, size)
            return state, jax.tree.map(jnp.mean, records)

        state, records = rollout(step, learner.init(params), config.rounds, key=key)
        reward_curve, live, missing, sent = records.info
        found = {
            "reward": reward_curve,
            "live": jnp.mean(live),
            "missing": jnp.mean(missing),
            "bytes": jnp.mean(sent),
        }
        return found, state.params

    def over_seeds(arm: Arm, keys: Any, params: Any) -> Any:
        return jax.lax.map(lambda given: run_one(arm, *given), (keys, params))

    keys = jax.random.split(jax.random.key(config.seed + 1), config.seeds)
    arm = _typed(_tasks(config)[0][2])
    program = jit_fast_compile(over_seeds, level=config.compile_level)
    program = program.lower(arm, keys, params).compile()

    def run_arm(arm: Arm, params: Any) -> tuple[dict[str, np.ndarray], Any]:
        return jax.tree.map(np.asarray, program(_typed(arm), keys, params))

    return run_arm


def _typed(arm: Arm) -> Arm:
    """An arm's numbers as arrays, of the same types for every arm."""
    return Arm(
        np.float32(arm.lr),
        np.int32(arm.external),
        np.float32(arm.negative_weight),
        np.asarray(arm.forging, bool),
        np.bool_(arm.filtered),
    )


def _measure(config: Config, data: Data) -> Callable[[Any], np.ndarray]:
    """Pass rates ``[S, N, F]`` of parameters ``[S, N, ...]`` on the held-out questions."""
    model = language_model(config.width, config.layers)

    def one(key: Any, params: Any) -> jax.Array:
        completions = language.generate(
            key,
            model,
            params,
            data.held_out.prompts,
            data.held_out.prompt_mask,
            max_new_tokens=MAX_NEW_TOKENS,
            num_samples=config.audit_samples,
        )
        passed = language.exact_match_reward(NEWLINE)(data.held_out, completions)
        return jnp.mean(passed, axis=1).reshape(-1, len(FAMILIES)).mean(axis=0)

    program = jit_fast_compile(
        lambda params: jax.vmap(jax.vmap(one, (0, 0)), (None, 0))(
            agents.keys(jax.random.key(config.seed + 2), config.agents), params
        ),
        level=config.compile_level,
    )
    return lambda params: np.asarray(program(params))
