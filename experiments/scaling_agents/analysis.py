"""Numbers derived from the runs: means per architecture, gains, choices on unseen kinds of task.

Shapes: ``K`` kinds of task, ``B`` abilities, ``S`` seeds, ``X`` architectures, ``R`` cases (kind,
ability and number of members).
"""

from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.scaling_agents.config import (
    ARCHITECTURES,
    INDEPENDENT,
    SETTINGS,
    SINGLE,
    TEAMS,
    Config,
    arms,
)
from experiments.scaling_agents.task_kinds import KINDS
from jaxswarm.systems import scaling_agents

LEAST_SCORE = 1e-3  # lower bound of a single agent's score in ratios
GAIN_LIMITS = (-1.0, 2.0)  # gains are clipped to this range before a line is fitted


def under(results: Results, setting: str) -> Results:
    """The results under one of ``SETTINGS``: ``[K, A, B, S]`` each."""
    at = list(SETTINGS).index(setting)
    return {name: np.asarray(leaf)[at] for name, leaf in results.items() if name != "map"}


def architecture_mean(
    config: Config,
    results: Results,
    name: str,
    measure: str,
    kinds: tuple[str, ...] | None = None,
) -> np.ndarray:
    """``[K, B, S]``: a measure of an architecture, averaged over the sizes of teams.

    Args:
        config: sizes of the run.
        results: of :func:`under`.
        name: one of ``ARCHITECTURES``.
        measure: name of an entry of ``results``.
        kinds: names of the kinds of task to keep; all by default.
    """
    chosen = np.array([architecture == name for architecture, _ in arms(config)])
    table = np.asarray(results[measure])[:, chosen].mean(axis=1)
    return table if kinds is None else table[[list(KINDS).index(kind) for kind in kinds]]


def gains(config: Config, results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Single-agent scores, and relative gains of the teams that exchange messages.

    Returns:
        ``[K · B, S]`` each. The gain is that of the mean score of centralised, decentralised and
        hybrid teams over the single agent's.
    """
    single = architecture_mean(config, results, SINGLE, "score")
    teams = [
        architecture_mean(config, results, name, "score") for name in TEAMS if name != INDEPENDENT
    ]
    gain = np.mean(teams, axis=0) / np.maximum(single, LEAST_SCORE) - 1.0
    seeds = single.shape[-1]
    return single.reshape(-1, seeds), gain.reshape(-1, seeds)


def gain_line(config: Config, results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares line of the gain on the single agent's score.

    Returns:
        Its slope, and the score at which it crosses zero, ``[S]`` each.
    """
    single, gain = gains(config, results)
    fits = [
        np.polyfit(x, y, 1) for x, y in zip(single.T, np.clip(gain, *GAIN_LIMITS).T, strict=True)
    ]
    slope, level = np.array(fits).T
    return slope, -level / slope


def choose_architectures(config: Config, results: Results) -> dict[str, np.ndarray]:
    """Choose an architecture for every kind of task by regressions on the other kinds.

    Features are properties of the task and of the single agent's runs, none of the teams'.

    Returns:
        ``hit [K]``, share of cases with the best architecture chosen; ``fixed [K]``, the same for
        the most frequent winner of the other kinds; ``regret [K]``, mean loss of score;
        ``predicted`` and ``measured`` scores ``[R, X]``.
    """
    features, scores, owner = _cases(config, results)
    best = scores.argmax(axis=1)
    chosen, fixed = np.zeros(len(scores), int), np.zeros(len(scores), int)
    predicted = np.zeros_like(scores)
    for kind in range(len(KINDS)):
        train = owner != kind
        selected, prediction = scaling_agents.select(features, scores, train)
        chosen[~train], predicted[~train] = selected[~train], prediction[~train]
        fixed[~train] = np.bincount(best[train], minlength=len(ARCHITECTURES)).argmax()
    regret = scores.max(axis=1) - scores[np.arange(len(scores)), chosen]

    def mean_by_kind(values: np.ndarray) -> np.ndarray:
        return np.array([values[owner == kind].mean() for kind in range(len(KINDS))])

    return {
        "hit": mean_by_kind(chosen == best),
        "fixed": mean_by_kind(fixed == best),
        "regret": mean_by_kind(regret),
        "predicted": predicted,
        "measured": scores,
    }


def _cases(config: Config, results: Results) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features ``[R, D]``, scores ``[R, X]`` and index of the kind ``[R]`` of every case."""
    score = np.asarray(results["score"]).mean(axis=-1)  # [K, A, B]
    turns = np.asarray(results["turns"])[:, 0]  # [K, B, S], single agent
    position = {arm: index for index, arm in enumerate(arms(config))}
    features, scores, owner = [], [], []
    for k, kind in enumerate(KINDS.values()):
        for b, ability in enumerate(config.abilities):
            for n in sorted(set(config.teams)):
                compared = [0, *(position[name, n] for name in TEAMS)]
                single = score[k, 0, b]
                width, depth = np.log(kind.width), np.log(kind.depth)
                features.append(
                    [
                        1.0, width, depth, (1.0 - kind.shown) * depth, kind.coupling / kind.width,
                        np.log1p(kind.tools), ability, np.log(n), single, single**2,
                        np.log(turns[k, b].mean()), single * width, single * depth,
                    ]
                )  # fmt: skip
                scores.append(score[k, compared, b])
                owner.append(k)
    return np.array(features), np.array(scores), np.array(owner)


def paper_regression(config: Config, results: Results) -> dict[str, Any]:
    """Fit the paper's twenty columns to the runs of teams, leaving kinds of task out in turn.

    Returns:
        ``r2``, ``mae`` and ``predicted``, of held-out kinds of task.
    """
    kinds, _, abilities, _ = np.asarray(results["score"]).shape
    paper = [at for at, (name, _) in enumerate(arms(config)) if name in TEAMS]
    shape = (kinds, len(paper), abilities)
    names = ("score", "overhead", "density", "redundancy", "efficiency", "amplification")
    team = {name: np.asarray(results[name]).mean(axis=-1)[:, paper] for name in names}
    single = np.asarray(results["score"]).mean(axis=-1)[:, :1]
    tools = np.array([kind.tools for kind in KINDS.values()], float)[:, None, None]
    members = np.array([arms(config)[at][1] for at in paper])[None, :, None]

    def flat(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, shape).ravel()

    table = scaling_agents.design(
        ability=flat(np.array(config.abilities)[None, None, :]),
        tools=flat(tools),
        agents=flat(members),
        overhead=flat(team["overhead"]),
        density=flat(team["density"]),
        redundancy=flat(team["redundancy"]),
        efficiency=flat(team["efficiency"]),
        amplification=flat(team["amplification"]),
        single=flat(single),
    )
    groups = flat(np.arange(kinds)[:, None, None])
    return scaling_agents.cross_validated(table, team["score"].ravel(), groups)
