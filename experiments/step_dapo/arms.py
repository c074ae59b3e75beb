"""Runs of the step-DAPO experiment: all arms on every seed, critics checked.

Shapes: ``S`` seeds, ``K`` lines of a solution.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from experiments.harness.protocol import Results
from experiments.step_dapo.config import METHODS, Config
from experiments.step_dapo.programs import Programs, build
from experiments.step_dapo.world import TOKENIZER, world
from jaxswarm import language

EXAMPLE_ROWS = 2  # solutions per question of the checked states


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all arms on every seed, with the hyperparameters that the pilot chose.

    Returns:
        ``accuracy`` and ``tokens`` by arm, ``[S]``; ``spearman``, rank correlation ``[S]`` with
        fresh Monte-Carlo values of the frozen critic, the oracle and PPO's critic (of its own
        policy); ``critic_loss``, ``[S]``; ``log_partition``, ``[S]``, mean over states of the
        logarithm of the mean of ``exp(A / β)`` over sampled steps; ``example``, one solution of
        each kind with values, see :func:`_example`; ``first_line``, ``[S]`` each: mean value of the
        state after a right and after a wrong first line, by the frozen critic and by Monte Carlo.
    """
    programs = build(config)
    rows = []
    for index in range(config.seeds):
        progress(f"seed {index}")
        rows.append(_run_seed(config, programs, config.seed + index))
    stacked = jax.tree.map(lambda *x: np.stack([np.asarray(each) for each in x]), *rows)
    example = jax.tree.map(lambda x: x[0], stacked.pop("example"))
    return {**stacked, "example": example}


def _start(config: Config, programs: Programs, seed: int) -> dict[str, Any]:
    """Reference policy, samples within the budget, and critics of a seed."""
    keys = jax.random.split(jax.random.key(seed), 6)
    data = world(config, 10 * seed)
    params = programs.fine_tune(keys[0], data.demonstrations)
    rollouts = programs.sample(keys[1], params, data.train)
    budget = rollouts.num_tokens
    responses, spent = programs.respond(keys[2], params, data.train, budget)
    critic, losses = programs.critic(keys[3], params, rollouts)
    values = programs.values(critic, rollouts)
    permutation = programs.shuffle(keys[5], jnp.broadcast_to(  # of rewards, one for each response
        rollouts.rewards[..., None], values.shape), rollouts)[..., 0]  # fmt: skip
    return {
        "programs": programs,
        "keys": keys,
        "data": data,
        "params": params,
        "rollouts": rollouts,
        "responses": responses,
        "budget": budget,
        "updates": config.updates,
        "iterations": config.iterations,
        "spent": spent,
        "critic": critic,
        "critic_loss": jnp.mean(losses[-20:]),
        "values": {
            "step_dapo": values,
            "shuffled": programs.shuffle(keys[4], values, rollouts),
            "uninformed": programs.shuffle(keys[4], values, rollouts),
            "oracle": programs.oracle(data.train, rollouts),
            "partition": values,
            "monte_carlo": programs.monte_carlo(rollouts),
        },
        "permuted": rollouts._replace(rewards=permutation),
    }


def _train(start: dict[str, Any], name: str, choice: tuple[float, ...]) -> Any:
    """Parameters after training by a method; for PPO its whole state and its tokens."""
    programs, params, key = start["programs"], start["params"], start["keys"][5]
    numbers = tuple(map(jnp.float32, choice))
    if name == "ppo":
        return programs.ppo(key, params, start["data"].train, start["budget"], *numbers)
    if name in ("dpo", "response"):
        return getattr(programs, name)(key, params, start["responses"], *numbers)
    updates = start["updates"]
    if name == "iterated":
        return _iterate(start, updates // start["iterations"], numbers)
    rollouts = start["permuted" if name == "uninformed" else "rollouts"]
    train = programs.partition if name == "partition" else programs.step_dapo
    return train(key, params, start["values"][name], rollouts, updates, *numbers)


def _iterate(start: dict[str, Any], updates: int, numbers: tuple[Any, ...]) -> Any:
    """Parameters after iterations that each sample anew and fit a new critic, and all tokens."""
    programs, params, spent = start["programs"], start["params"], 0
    for index in range(start["iterations"]):
        keys = jax.random.split(jax.random.fold_in(start["keys"][5], index), 3)
        rollouts = programs.sample_part(keys[0], params, start["data"].train)
        spent += int(rollouts.num_tokens) // start["iterations"]  # every row is there as often
        critic, _ = programs.critic(keys[1], params, rollouts)
        values = programs.values(critic, rollouts)
        params = programs.step_dapo(keys[2], params, values, rollouts, updates, *numbers)
    return params, spent


def _accuracy(start: dict[str, Any], trained: Any) -> float:
    """Pass rate on the held-out questions of what :func:`_train` returns."""
    params = trained[0] if isinstance(trained, tuple) else trained
    params = params.params if isinstance(params, language.PPOState) else params
    return float(start["programs"].accuracy(start["keys"][4], params, start["data"].test))


def _run_seed(config: Config, programs: Programs, seed: int) -> dict[str, Any]:
    start = _start(config, programs, seed)
    trained = {"base": start["params"]}
    for name in METHODS:
        if name != "base":
            trained[name] = _train(start, name, getattr(config, name, config.step_dapo))
    budget = int(start["budget"])
    tokens = dict.fromkeys(METHODS, budget) | {"base": 0}
    tokens |= {"dpo": int(start["spent"]), "response": int(start["spent"])}
    tokens |= {name: int(trained[name][1]) for name in ("ppo", "iterated")}
    few = jax.tree.map(lambda x: x[: config.audit_questions], start["data"].test)
    checked = programs.audit(start["keys"][4], start["params"], few)
    values = np.asarray(programs.values(start["critic"], checked))
    state = trained["ppo"][0]
    own = programs.audit(start["keys"][4], state.params, few)
    return {
        "accuracy": {name: _accuracy(start, each) for name, each in trained.items()},
        "tokens": tokens,
        "spearman": {
            "step_dapo": _spearman(config, values, checked),
            "oracle": _spearman(config, programs.oracle(few, checked), checked),
            "ppo": _spearman(config, programs.outputs(state.critic_params, own), own),
        },
        "critic_loss": float(start["critic_loss"]),
        "log_partition": float(
            programs.log_partition(
                start["values"]["step_dapo"], start["rollouts"], jnp.float32(config.step_dapo[0])
            )
        ),
        "first_line": _first_line(start),
        "example": _example(checked, values),
    }


def _spearman(config: Config, values: Any, rollouts: language.StepRollouts) -> float:
    """Rank correlation of values with fresh Monte-Carlo values, 0 where one of them is constant."""
    kept = np.asarray(rollouts.counts) >= config.audit_completions
    pair = np.asarray(values)[kept], np.asarray(rollouts.values)[kept]
    if min(len(set(x.tolist())) for x in pair) < 2:
        return 0.0
    return float(spearmanr(*pair)[0])  # pyright: ignore[reportArgumentType]


def _first_line(start: dict[str, Any]) -> dict[str, float]:
    """Mean value after a right and a wrong first line, by the critic and by Monte Carlo."""
    values = start["values"]
    right = np.asarray(values["oracle"])[..., 1] > 0
    exists = np.asarray(start["rollouts"].states)[..., 1]
    found = {}
    for name, source in (("critic", "step_dapo"), ("monte_carlo", "monte_carlo")):
        after = np.asarray(values[source])[..., 1]
        for kind, kept in (("right", exists & right), ("wrong", exists & ~right)):
            found[f"{name}_{kind}"] = float(after[kept].mean()) if kept.any() else 0.0
    return found


def _example(rollouts: language.StepRollouts, values: np.ndarray) -> dict[str, Any]:
    """A wrong and a right solution with the critic's value of the state before each line.

    Returns:
        ``question [2]`` and ``solution [2]`` as texts, ``reward [2]``, ``value [2, K]`` and
        ``monte_carlo [2, K]``, values of the critic and of fresh completions.
    """
    tokens, rewards = np.asarray(rollouts.tokens), np.asarray(rollouts.rewards)[:, :EXAMPLE_ROWS]
    fraction = np.asarray(rollouts.values)
    whole = np.all(np.asarray(rollouts.states), axis=-1)[:, :EXAMPLE_ROWS]
    chosen = []
    for right in (0.0, 1.0):
        fits = np.argwhere(whole & (rewards == right))
        fits = fits if len(fits) else np.argwhere(rewards >= 0)
        # The wrong solution whose value falls most, the first right one.
        falls = [values[q, r, 0] - values[q, r, -1] for q, r in fits]
        chosen.append(tuple(fits[int(np.argmax(falls)) if right == 0 else 0]))
    prompts, mask = np.asarray(rollouts.prompts), np.asarray(rollouts.prompt_mask)
    return {
        "question": np.array([TOKENIZER.decode(prompts[q][mask[q]]) for q, _ in chosen]),
        "solution": np.array([TOKENIZER.decode(tokens[q, r]) for q, r in chosen]),
        "reward": np.array([rewards[q, r] for q, r in chosen]),
        "value": np.array([values[q, r] for q, r in chosen]),
        "monte_carlo": np.array([fraction[q, r] for q, r in chosen]),
    }
