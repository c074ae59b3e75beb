"""Runs of the step-DAPO experiment: all arms on every seed, critics checked.

Shapes: ``S`` seeds, ``K`` lines of a solution.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from experiments.harness.protocol import Results
from experiments.step_dapo import sampling, training
from experiments.step_dapo.config import METHODS, Config
from experiments.step_dapo.programs import Batch, Programs, build
from experiments.step_dapo.world import TOKENIZER, World, world
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.types import Key, Params


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all arms on every seed, with the hyperparameters that the pilot chose.

    Returns:
        ``accuracy`` and ``tokens`` by arm, ``[S]``; ``spearman``, rank correlation ``[S]`` with the
        exact values of held-out states of the frozen critic, the oracle and PPO's critic (of its
        own policy); ``critic_loss``, ``[S]``; ``log_partition``, ``[S]``, mean over states of the
        logarithm of the mean of ``exp(A / β)`` over sampled steps; ``example``, one solution of
        each kind with values, see :func:`_example`; ``first_line``, ``[S]`` each: mean value of the
        state after a right and after a wrong first line, by the frozen critic and exactly.
    """
    programs = build(config)
    rows = []
    for index in range(config.seeds):
        progress(f"seed {index}")
        rows.append(_run_seed(config, programs, config.seed + index))
    stacked = jax.tree.map(lambda *x: np.stack([np.asarray(each) for each in x]), *rows)
    example = jax.tree.map(lambda x: x[0], stacked.pop("example"))
    return {**stacked, "example": example}


class Start(NamedTuple):
    """What the arms of one seed share.

    Attributes:
        seed: of this run.
        keys: of its stages.
        data: questions.
        params: of the reference policy.
        rollouts: responses with completions of their states, which fix the budget.
        budget: generated tokens of each arm.
        rows: of the step-level methods, without advantages.
        responses: rows of the response-level methods.
        spent: tokens of these.
        critic: parameters of the frozen critic.
        critic_loss: at the end of its training.
        credit: of :attr:`Programs.credit`.
    """

    seed: int
    keys: Key
    data: World
    params: Params
    rollouts: language.StepRollouts
    budget: int
    rows: Batch
    responses: Batch
    spent: int
    critic: Params
    critic_loss: float
    credit: dict[str, Any]


def start(config: Config, programs: Programs, seed: int) -> Start:
    """Reference policy, samples within the budget, and critic of a seed."""
    keys = jax.random.split(jax.random.key(seed), 6)
    data, rng = world(config, 10 * seed), np.random.default_rng([seed, 0])
    shown = data.demonstrations
    asked = verifiable.Problems(*(x[:, 0] for x in shown))
    rows = training.pool(config, asked, shown.solutions, shown.solution_mask)
    params, _ = training.train(
        config, programs, rng, programs.init(keys[0]), rows, "sft", config.sft_updates,
        lr=config.sft_lr,
    )  # fmt: skip
    rollouts = sampling.sample_steps(config, programs, keys[1], params, data.train, config.samples)
    budget = sampling.num_tokens(rollouts)
    responses, spent = training.response_rows(
        config,
        data.train,
        sampling.respond(config, programs, keys[2], params, data.train, config.responses),
        budget,
    )
    steps, critic, loss, credit = study(config, programs, rng, keys[3], params, data, rollouts)
    return Start(
        seed, keys, data, params, rollouts, budget, steps, responses, spent, critic, loss, credit
    )


def study(
    config: Config,
    programs: Programs,
    rng: np.random.Generator,
    key: Key,
    params: Params,
    data: World,
    rollouts: language.StepRollouts,
) -> tuple[Batch, Params, float, dict[str, Any]]:
    """Rows with log-probabilities under the policy, a critic fitted to them, and the credit."""
    reference, _ = sampling.score(
        config, programs, params, data.train, rollouts.tokens, rollouts.mask
    )
    rows = training.step_rows(
        config, rollouts, reference, targets=rollouts.values, weights=rollouts.counts
    )
    updates = config.critic_updates * rollouts.tokens.shape[1] // config.step_rows
    critic, loss = training.train(
        config, programs, rng, params, rows, "critic", updates, lr=config.critic_lr
    )
    outputs = sampling.outputs_at_states(config, programs, critic, rollouts)
    values = np.where(sampling.states_of(rollouts), _sigmoid(outputs), 0.0).astype(np.float32)
    credit = credit_of(config, programs, key, values, data.train, rollouts)
    return training.step_rows(config, rollouts, reference), critic, loss, credit


def credit_of(
    config: Config,
    programs: Programs,
    key: Key,
    values: np.ndarray,
    problems: verifiable.Problems,
    rollouts: language.StepRollouts,
) -> dict[str, Any]:
    """Advantages of all arms; rows are repeated to the number of those of all responses."""
    copies = config.step_rows // rollouts.tokens.shape[1]
    whole = sampling.host_rollouts(
        rollouts.prompts,
        rollouts.prompt_mask,
        *(np.concatenate([x] * copies, axis=1) for x in rollouts[2:]),
    )
    values = np.concatenate([values] * copies, axis=1)
    found = jax.device_get(
        programs.credit(
            jax.random.split(key), values, jnp.float32(config.step_dapo[0]), problems, whole
        )
    )
    return found | {"values": values}


def learn(
    config: Config,
    programs: Programs,
    given: Start,
    name: str,
    choice: tuple[float, ...],
) -> tuple[Params, Params | None, int]:
    """Train by a method: its policy, the critic of PPO, and the tokens that it generated."""
    rng = np.random.default_rng([given.seed, 1 + list(METHODS).index(name)])
    if name == "ppo":
        return training.ppo(
            config, programs, rng, given.keys[5], given.params, given.data.train, given.budget,
            *choice,
        )  # fmt: skip
    beta, lr = choice
    if name == "iterated":
        return _iterate(config, programs, rng, given, beta, lr)
    loss, rows, tokens = "step", given.rows, given.budget
    if name in ("dpo", "response"):
        loss, rows, tokens = name, given.responses, given.spent
    else:
        kind = "step_dapo" if name == "partition" else name
        advantages = given.credit["advantages"][kind]
        rows = rows._replace(targets=advantages, states=given.credit["states"])
        loss = "partition" if name == "partition" else "step"
    params, _ = training.train(
        config, programs, rng, given.params, rows, loss, config.updates, beta=beta, lr=lr
    )
    return params, None, tokens


def _iterate(
    config: Config,
    programs: Programs,
    rng: np.random.Generator,
    given: Start,
    beta: float,
    lr: float,
) -> tuple[Params, None, int]:
    """Iterations that each sample anew from the policy so far and fit a new critic."""
    params, spent = given.params, 0
    for index in range(config.iterations):
        keys = jax.random.split(jax.random.fold_in(given.keys[5], index))
        rollouts = sampling.sample_steps(
            config, programs, keys[0], params, given.data.train,
            config.samples // config.iterations,
        )  # fmt: skip
        spent += sampling.num_tokens(rollouts)
        rows, _, _, credit = study(config, programs, rng, keys[1], params, given.data, rollouts)
        advantages = credit["advantages"]["step_dapo"][:, : rollouts.tokens.shape[1]]
        params, _ = training.train(
            config, programs, rng, params, rows._replace(targets=advantages), "step",
            config.updates // config.iterations, beta=beta, lr=lr,
        )  # fmt: skip
    return params, None, spent


def pass_rate(config: Config, programs: Programs, given: Start, params: Params) -> float:
    """Pass rate on the held-out questions at temperature 1, exactly."""
    return float(sampling.exact_values(config, programs, params, given.data.test)[:, 0].mean())


def _run_seed(config: Config, programs: Programs, seed: int) -> dict[str, Any]:
    given = start(config, programs, seed)
    accuracy, tokens = {"base": pass_rate(config, programs, given, given.params)}, {"base": 0}
    trained: dict[str, Any] = {}
    for name in METHODS:
        if name == "base":
            continue
        trained[name] = learn(
            config, programs, given, name, getattr(config, name, config.step_dapo)
        )
        accuracy[name] = pass_rate(config, programs, given, trained[name][0])
        tokens[name] = trained[name][2]
    audited = audit(config, programs, given, given.params, given.critic)
    own = audit(config, programs, given, *trained["ppo"][:2])
    return {
        "accuracy": accuracy,
        "tokens": tokens,
        "spearman": {
            "step_dapo": _spearman(_sigmoid(audited.outputs), audited),
            "oracle": _spearman(_oracle(given, audited), audited),
            "ppo": _spearman(own.outputs, own),
        },
        "critic_loss": given.critic_loss,
        "log_partition": float(given.credit["log_partition"]),
        "first_line": first_line(config, programs, given),
        "example": _example(audited),
    }


class Audit(NamedTuple):
    """Responses to held-out questions, a critic's outputs at their states, and exact values.

    Attributes:
        problems: the questions.
        responses: ``G`` to each.
        states: ``bool[Q, G, K]``, states that exist.
        right: ``bool[Q, G, K]``, those of them after right steps alone.
        outputs: ``float[Q, G, K]``, output of the value head.
        exact: ``float[Q, G, K]``, probability that the policy ends right from there.
    """

    problems: verifiable.Problems
    responses: sampling.Responses
    states: np.ndarray
    right: np.ndarray
    outputs: np.ndarray
    exact: np.ndarray


def audit(
    config: Config, programs: Programs, given: Start, params: Params, critic: Params
) -> Audit:
    """Check a critic on fresh responses of its policy to held-out questions."""
    few = verifiable.Problems(*(x[: config.audit_questions] for x in given.data.test))
    found = sampling.respond(config, programs, given.keys[4], params, few, config.audit_samples)
    rollouts = as_rollouts(config, few, found)
    right = sampling.right_states(few, rollouts)
    values = sampling.exact_values(config, programs, params, few)[:, None]
    return Audit(
        few, found, sampling.states_of(rollouts), right,
        sampling.outputs_at_states(config, programs, critic, rollouts),
        np.where(right, values, 0.0),
    )  # fmt: skip


def as_rollouts(
    config: Config, problems: verifiable.Problems, found: sampling.Responses
) -> language.StepRollouts:
    """Responses without completions as rollouts."""
    steps = config.terms - 1
    nothing = np.zeros((*found.rewards.shape, steps), np.float32)
    return sampling.host_rollouts(
        problems.prompts, problems.prompt_mask, found.tokens, found.mask,
        sampling.step_ids(found.tokens, steps), found.rewards,
        np.zeros(found.rewards.shape, int), nothing, nothing,
    )  # fmt: skip


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def _oracle(given: Start, audited: Audit) -> np.ndarray:
    """The oracle's values of audited states: its mean of each number of right steps, else 0."""
    known = given.credit["oracle"].max(axis=(0, 1))
    return np.where(audited.right, known, 0.0)


def _spearman(values: np.ndarray, audited: Audit) -> float:
    """Rank correlation with exact values after at least one step, 0 where one is constant."""
    kept = audited.states[..., 1:]
    pair = values[..., 1:][kept], audited.exact[..., 1:][kept]
    if min(len(set(x.tolist())) for x in pair) < 2:
        return 0.0
    return float(spearmanr(*pair)[0])  # pyright: ignore[reportArgumentType]


def first_line(config: Config, programs: Programs, given: Start) -> dict[str, float]:
    """Mean value after a right and a wrong first line, by the critic and exactly."""
    values = given.credit["values"][..., 1]
    exact = sampling.exact_values(config, programs, given.params, given.data.train)[:, None, 1]
    right = sampling.right_states(given.data.train, given.rollouts)[..., 1]
    there = sampling.states_of(given.rollouts)[..., 1]
    exact = np.where(right, exact, 0.0)
    found = {}
    for kind, kept in (("right", right), ("wrong", there & ~right)):
        for name, source in (("critic", values), ("exact", exact)):
            found[f"{name}_{kind}"] = float(source[kept].mean()) if kept.any() else 0.0
    return found


def _example(audited: Audit) -> dict[str, Any]:
    """A wrong and a right solution with the critic's value of the state before each line.

    Returns:
        ``question [2]`` and ``solution [2]`` as texts, ``reward [2]``, ``value [2, K]`` and
        ``exact [2, K]``, values of the critic and exact ones.
    """
    tokens, rewards = audited.responses.tokens, audited.responses.rewards
    values, whole = _sigmoid(audited.outputs), audited.states.all(-1)
    chosen = []
    for right in (0.0, 1.0):
        fits = np.argwhere(whole & (rewards == right))
        fits = fits if len(fits) else np.argwhere(rewards >= 0)
        # The wrong solution whose value falls most, the first right one.
        falls = [values[q, r, 0] - values[q, r, -1] for q, r in fits]
        chosen.append(tuple(fits[int(np.argmax(falls)) if right == 0 else 0]))
    prompts, mask = np.asarray(audited.problems.prompts), np.asarray(audited.problems.prompt_mask)
    return {
        "question": np.array([TOKENIZER.decode(prompts[q][mask[q]]) for q, _ in chosen]),
        "solution": np.array([TOKENIZER.decode(tokens[q, r]) for q, r in chosen]),
        "reward": np.array([rewards[q, r] for q, r in chosen]),
        "value": np.array([values[q, r] for q, r in chosen]),
        "exact": np.array([audited.exact[q, r] for q, r in chosen]),
    }
