"""Runs of the SAPO experiment: sharing ratios, filtered and negative controls, specialists.

* **Ratios.** Agents with one base model of a low pass rate; 8/0, 6/2, 4/4 and 2/6 own and external
  groups in an update.
* **Filtered control.** 8/0 with twice the questions, of which groups without a gradient are
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
        "low": jax.tree.map(lambda x: jnp.repeat(x[:, None], size, axis=1), bases["base"]),
        "high": jax.tree.map(lambda x: jnp.repeat(x[:, None], size, axis=1), bases["high"]),
        "specialists": jax.tree.map(lambda x: x[:, half], bases["specialists"]),
    }
    measure = _measure(config, data)
    plain, filtered = _runner(config, data), _runner(config, data, filtered=True)
    each = config.questions // 2
    results: Results = {name: {} for name in swarms}
    results["start"] = {name: measure(swarm) for name, swarm in swarms.items()}
    sizes = {"low": config.lr, "high": config.lr_high, "specialists": config.lr_specialists}
    none = np.zeros(size, bool)
    alone, even = ratio_name(config, 0), ratio_name(config, each)

    def record(kind: str, arm: str, runner: Any, external: int, **changes: Any) -> None:
        progress(f"{kind}: {arm}")
        lr = config.lr_alone if (kind, arm) == ("low", alone) else sizes[kind]
        if kind == "specialists" and "negative_weight" in changes:
            lr = config.lr_taught
        chosen = Arm(lr, external, 1.0, none)._replace(**changes)
        found, params = runner(chosen, swarms[kind])
        results[kind][arm] = found | {"passed": measure(params)}

    for external in (0, *config.external):
        record("low", ratio_name(config, external), plain, external)
    for kind in ("high", "specialists"):
        record(kind, alone, plain, 0)
        record(kind, even, plain, each)
    for kind in ("low", "high", "specialists"):
        record(kind, "right_only", plain, each, negative_weight=0.0)
    for kind in ("low", "specialists"):
        record(kind, "filtered", filtered, 0)
        record(kind, "oracle_right", plain, each, forging=~none, negative_weight=0.0)
    record("specialists", "oracle", plain, each, forging=~none)
    if config.junk:
        junk = _runner(config, data, forge=sapo.padded_answers(NEWLINE, TOKENIZER.vocab_size))
        record("low", "junk", junk, each, forging=np.arange(size) < config.junk)
    return results


class Arm(NamedTuple):
    """Numbers that a compiled program takes as arguments.

    Attributes:
        lr: Adam's step size.
        external: external groups of an update.
        negative_weight: factor of the negative advantages of external responses.
        forging: ``bool[N]``, agents that share forged packets.
    """

    lr: Any
    external: Any
    negative_weight: Any
    forging: Any


def _runner(
    config: Config, data: Data, *, filtered: bool = False, forge: Any = None
) -> Callable[[Arm, Any], tuple[dict[str, np.ndarray], Any]]:
    """A program ``(arm, params) -> (measurements, params)``."""
    n, groups = config.agents, config.questions
    asked = 2 * groups if filtered else groups
    model = language_model(config.width, config.layers)
    reward = language.exact_match_reward(NEWLINE)

    def run_one(arm: Arm, key: Any, params: Any) -> Any:
        learner = sapo.sapo(
            model,
            optax.adam(arm.lr),
            reward,
            local=groups if filtered else groups - arm.external,
            external=0 if filtered else arm.external,
            num_groups=groups,
            num_samples=config.samples,
            max_new_tokens=MAX_NEW_TOKENS,
            filter_local=filtered,
            negative_weight=arm.negative_weight,
            forge=None if filtered else forge or sapo.solved(),
            tokenizer=TOKENIZER,
        )

        def step(key: Any, state: Any, inputs: None) -> Any:
            draw_key, step_key = jax.random.split(key)
            rows = len(FAMILIES) * jax.random.randint(
                draw_key, (n, asked), 0, config.pool // len(FAMILIES)
            )
            rows = rows + (jnp.arange(asked) % len(FAMILIES))[None]
            problems = jax.tree.map(lambda x: x[rows], data.training)
            given = sapo.Round(problems, forging=None if filtered else arm.forging)
            state, info = learner.step(step_key, state, given)
            sent = info.traffic.bytes
            return state, jax.tree.map(jnp.mean, (info.reward, info.live, info.missing, sent))

        state, records = rollout(step, learner.init(params), config.rounds, key=key)
        reward_curve, live, missing, sent = records.info
        found = {
            "reward": reward_curve,
            "live": jnp.mean(live),
            "missing": jnp.mean(missing),
            "bytes": jnp.mean(sent),
        }
        return found, state.params

    program = jit_fast_compile(jax.vmap(run_one, (None, 0, 0)))
    keys = jax.random.split(jax.random.key(config.seed + 1), config.seeds)

    def run_arm(arm: Arm, params: Any) -> tuple[dict[str, np.ndarray], Any]:
        found, params = program(jax.tree.map(jnp.asarray, arm), keys, params)
        return {name: np.asarray(x) for name, x in found.items()}, params

    return run_arm


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
        )
    )
    return lambda params: np.asarray(program(params))
