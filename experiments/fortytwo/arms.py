"""Runs of the Fortytwo experiment: one pool of models per seed, all aggregators on its replies.

* **Models.** All nodes of a width start from one base model that answers and judges the rotation
  task. Each learns its own, partly wrong answers to two tasks, then, with the same weights, to
  compare two answers: on calibration questions, from replies of its own pool, half of them with a
  rationale (the answer, derived again) before the verdict.
* **Aggregators.** All see the same replies and the same verdicts.
* **Ablations** that judge anew: no rationale, prompts with noise, no diversity, smaller swarms.
* **Adversaries and judge accuracy** change verdicts only, at fixed replies.
* **Synthetic tier** (Bernoulli judges, no models): Byzantine shares and Sybil identities.

Shapes: ``S`` pools, ``Q`` questions, ``N`` nodes, ``p`` pairs of each judge.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.fortytwo import aggregate, tasks
from experiments.fortytwo import pool as pools
from experiments.fortytwo.config import Config
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm.systems import fortytwo

BYZANTINE = ("random", "inverter", "self_promoter", "colluder", "sleeper")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45)  # Byzantine shares of the synthetic tier
SYNTHETIC_ACCURACY = 0.75  # of honest synthetic judges
TESTS = 200  # calibration tests of a synthetic node
AFTER = 100  # questions after which reputations must separate nodes


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``rotation``, ``recall``, ``direct`` (no rationale), ``noise`` and ``copies`` (no
        diversity): ``{aggregator: accuracy [S]}`` with ``judge_accuracy [S]`` and ``tokens``, the
        mean number of generated tokens of a verdict; ``admission``; ``byzantine``; ``random``;
        ``flips``; ``sizes``; ``transfer``; ``synthetic``.
    """
    worlds = [tasks.draw_world(config, 1_000 * config.seed + s) for s in range(config.seeds)]
    pool = pools.train(config, worlds, progress)
    swarm = Swarm(config, pool, worlds)
    progress("admission tests")
    results: Results = {"admission": swarm.take_tests()}
    rounds, right = {}, {}
    for task in tasks.TASKS:
        progress(f"test questions: {task}")
        questions = pools.pack(worlds, task, "test")
        rounds[task], right[task], tokens = swarm.answer_and_judge(questions, 1)
        results[task], _ = swarm.measure(task, rounds[task], right[task], tokens)
    results["rotation"]["nodes"] = right["rotation"].mean(1)
    results["recall"]["nodes"] = right["recall"].mean(1)
    progress("no rationale, noise, no diversity")
    results |= ablations(swarm)
    progress("smaller swarms")
    results["sizes"] = sizes(swarm, rounds["rotation"], right["rotation"])
    progress("adversaries and judges of other accuracy")
    results |= adversaries(swarm, rounds["rotation"], right["rotation"])
    results["transfer"] = transfer(swarm, rounds, right)
    progress("synthetic tier")
    results["synthetic"] = synthetic(config)
    return results


class Swarm:
    """Trained pools with what their admission tests found."""

    def __init__(self, config: Config, pool: pools.Pool, worlds: list[tasks.World]):
        self.config, self.pool, self.worlds = config, pool, worlds
        self.start: dict[str, np.ndarray] = {}
        self.admitted: dict[str, np.ndarray] = {}
        self.best: dict[str, np.ndarray] = {}
        self.answers: dict[str, np.ndarray] = {}

    def take_tests(self) -> dict[str, np.ndarray]:
        """Admission tests of both tasks, on calibration questions that no judge was trained on.

        Returns:
            ``TASK_judges`` and ``TASK_answers``, shares of right verdicts and of right answers
            ``[S, N]``, and ``TASK_admitted``.
        """
        found = {}
        for task in tasks.TASKS:
            questions = pools.pack(self.worlds, task, "admission")
            rounds, right, _ = self.answer_and_judge(questions, 0)
            good, counts = aggregate.judge_accuracy(rounds, right)
            share = (good & counts).sum(2) / np.maximum(counts.sum(2), 1)
            passed = share >= self.config.threshold
            # A pool in which no judge passes would have no consensus: all judge.
            passed |= ~passed.any(1, keepdims=True)
            self.answers[task] = right.mean(1)
            self.start[task] = np.clip(share, 0.05, 1.0).astype(np.float32)
            self.admitted[task], self.best[task] = passed, self.answers[task].argmax(1)
            found[f"{task}_judges"], found[f"{task}_answers"] = share, self.answers[task]
            found[f"{task}_admitted"] = passed
        return found

    def answer_and_judge(
        self,
        questions: pools.Questions,
        salt: int,
        *,
        params: Any = None,
        rationale: bool = True,
        replies: Any = None,
    ) -> tuple[fortytwo.Round, np.ndarray, float]:
        """Replies and verdicts to questions.

        Returns:
            ``(rounds, right bool[S, Q, N], mean tokens of a verdict)``.
        """
        config, params = self.config, self.pool.params if params is None else params
        key = jax.random.fold_in(jax.random.key(config.seed + 7), salt)
        if replies is None:
            replies = self.pool.answer(params, key, questions)
        first, second = aggregate.draw_pairs(
            questions.keys, config.nodes, config.nodes, config.pairs
        )
        verdicts, tokens = self.pool.verdicts(
            params, key, questions, replies, first, second, rationale
        )
        rounds = fortytwo.Round(
            aggregate.classes_of(replies), np.asarray(first), np.asarray(second), verdicts
        )
        right = np.asarray((replies == questions.answers[:, None]).all(-1)).swapaxes(1, 2)
        return aggregate.without_equal(rounds), right, tokens

    def measure(
        self, task: str, rounds: fortytwo.Round, right: np.ndarray, tokens: float
    ) -> tuple[dict[str, Any], fortytwo.RoundInfo]:
        """Accuracy of all aggregators and of the judges."""
        found, info = aggregate.compare_all(
            self.config, rounds, right, self.start[task], self.admitted[task], self.best[task]
        )
        return found | {"judge_accuracy": judges(rounds, right), "tokens": tokens}, info


def judges(rounds: fortytwo.Round, right: np.ndarray) -> np.ndarray:
    """Share of right verdicts of all judges of a pool, ``[S]``."""
    good, counts = aggregate.judge_accuracy(rounds, right)
    return (good & counts).sum((1, 2)) / np.maximum(counts.sum((1, 2)), 1)


def ablations(swarm: Swarm) -> Results:
    """No rationale, prompts with noise, and pools of copies, on the rotation task."""
    config = swarm.config
    questions = pools.pack(swarm.worlds, "rotation", "test")
    found = {}
    rounds, right, tokens = swarm.answer_and_judge(questions, 1, rationale=False)
    found["direct"], _ = swarm.measure("rotation", rounds, right, tokens)
    noisy = pools.pack(swarm.worlds, "rotation", "test", np.random.default_rng(config.seed + 11))
    rounds, right, tokens = swarm.answer_and_judge(noisy, 2)
    found["noise"], _ = swarm.measure("rotation", rounds, right, tokens)
    width = np.arange(config.nodes) % len(config.widths)
    answers = swarm.answers["rotation"]
    chosen = np.stack(
        [np.where(width == w, answers, -1.0).argmax(1) for w in range(len(config.widths))], axis=1
    )
    params = pools.copies(config, swarm.pool, chosen)
    rounds, right, tokens = swarm.answer_and_judge(questions, 3, params=params)
    found["copies"], _ = swarm.measure("rotation", rounds, right, tokens)
    return found


def sizes(swarm: Swarm, rounds: fortytwo.Round, right: np.ndarray) -> Results:
    """Accuracy of each aggregator in swarms of other sizes, on the first block of questions.

    Returns:
        ``{aggregator: [sizes, S]}`` and ``number [sizes]``; the last size is the whole pool's.
    """
    config = swarm.config
    rows = slice(0, config.block)
    questions = pools.pack(swarm.worlds, "rotation", "test")
    questions = jax.tree.map(lambda x: x[:, rows], questions)
    key = jax.random.fold_in(jax.random.key(config.seed + 7), 4)
    replies = swarm.pool.answer(swarm.pool.params, key, questions)
    rng = np.random.default_rng(config.seed + 12)
    orders = np.stack([rng.permutation(config.nodes) for _ in range(config.seeds)])
    right = np.asarray((replies == questions.answers[:, None]).all(-1)).swapaxes(1, 2)
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*aggregate.AGGREGATORS, "oracle")}
    for size in (*config.sizes, config.nodes):
        pairs = aggregate.draw_pairs(questions.keys, config.nodes, size, config.pairs)
        first, second = (orders[np.arange(config.seeds)[:, None, None, None], x] for x in pairs)
        verdicts, _ = swarm.pool.verdicts(
            swarm.pool.params, key, questions, replies, first, second, True
        )
        made = fortytwo.Round(aggregate.classes_of(replies), first, second, verdicts)
        present = np.zeros((config.seeds, config.nodes), bool)
        np.put_along_axis(present, orders[:, :size], True, axis=1)
        best = np.where(present, swarm.answers["rotation"], -1.0).argmax(1)
        allowed = swarm.admitted["rotation"] & present
        allowed |= present & ~allowed.any(1, keepdims=True)
        measured, _ = aggregate.compare_all(
            config, aggregate.without_equal(made), right, swarm.start["rotation"], allowed, best,
            present,
        )  # fmt: skip
        for name in found:
            found[name].append(measured[name])
    numbers = np.array([*config.sizes, config.nodes])
    return {name: np.stack(values) for name, values in found.items()} | {"number": numbers}


def adversaries(swarm: Swarm, rounds: fortytwo.Round, right: np.ndarray) -> Results:
    """Byzantine nodes, random judges, and judges of other accuracy, on the rotation task.

    Byzantine nodes are drawn among admitted ones and keep their replies.
    """
    config = swarm.config
    start, admitted = swarm.start["rotation"], swarm.admitted["rotation"]
    count = round(config.byzantine * config.nodes)
    rng = np.random.default_rng(config.seed + 13)
    order = np.argsort(rng.random(admitted.shape) - admitted, axis=1)  # admitted ones first
    bad = np.zeros(admitted.shape, bool)
    np.put_along_axis(bad, order[:, :count], True, axis=1)
    found: Results = {"byzantine": {"bad": bad}}
    for kind in BYZANTINE:
        kinds = np.where(bad, fortytwo.KINDS.index(kind), 0)
        made = aggregate.corrupted(rounds, kinds, config.seed + 14, wakes=AFTER)
        info = aggregate.decide(config, made, start, admitted)
        flat = aggregate.decide(config, made, np.ones_like(start), admitted, rate=1.0)
        at = min(AFTER, right.shape[1]) - 1
        scores = info.reputation[:, at]
        found["byzantine"][kind] = {
            "reputation": aggregate.accuracy(info.winners, right),
            "plain": aggregate.accuracy(flat.winners, right),
            "curve": info.reputation,
            "separation": np.array(
                [
                    aggregate.area_under_curve(s[a], ~b[a])
                    for s, a, b in zip(scores, admitted, bad, strict=True)
                ]
            ),
        }
    kinds = np.full(admitted.shape, fortytwo.KINDS.index("random"))
    made = aggregate.corrupted(rounds, kinds, config.seed + 15)
    info = aggregate.decide(config, made, start, admitted)
    found["random"] = {"reputation": aggregate.accuracy(info.winners, right)}
    found["flips"] = {"judge_accuracy": [], "reputation": []}
    for share in config.flips:
        turn = np.random.default_rng(config.seed + 16).random(rounds.verdicts.shape) < share
        made = rounds._replace(verdicts=np.where(turn, -rounds.verdicts, rounds.verdicts))
        made = aggregate.without_equal(made)
        info = aggregate.decide(config, made, start, admitted)
        found["flips"]["judge_accuracy"].append(judges(made, right))
        found["flips"]["reputation"].append(aggregate.accuracy(info.winners, right))
    found["flips"] = {name: np.stack(values) for name, values in found["flips"].items()}
    return found


def transfer(swarm: Swarm, rounds: Any, right: Any) -> Results:
    """Reputations that were learned on the recall task, frozen, as weights on the rotation task.

    Returns:
        ``own``, ``other`` and ``uniform``: accuracy ``[S]`` on the rotation task with weights from
        its own first half, from the recall task, or equal, on the second half; ``correlation [S]``
        of the nodes' reputations on both tasks. All nodes judge.
    """
    half = right["rotation"].shape[1] // 2
    late = jax.tree.map(lambda x: x[:, half:], rounds["rotation"])
    every = np.ones_like(swarm.admitted["rotation"])
    learned = {}
    for task in tasks.TASKS:
        early = jax.tree.map(lambda x: x[:, :half], rounds[task])
        info = aggregate.decide(swarm.config, early, np.full(every.shape, 0.5), every)
        learned[task] = info.reputation[:, half // 2 :].mean(1)
    weights = {
        "own": learned["rotation"],
        "other": learned["recall"],
        "uniform": np.ones(every.shape),
    }
    found: Results = {}
    for name, weight in weights.items():
        info = aggregate.decide(swarm.config, late, weight.astype(np.float32), every, rate=1.0)
        found[name] = aggregate.accuracy(info.winners, right["rotation"][:, half:])
    with np.errstate(invalid="ignore"):
        found["correlation"] = np.nan_to_num(
            [
                np.corrcoef(a, b)[0, 1]
                for a, b in zip(learned["rotation"], learned["recall"], strict=True)
            ]
        )
    return found


def synthetic(config: Config) -> Results:
    """Byzantine shares and Sybil identities among Bernoulli judges.

    Returns:
        ``shares``, ``right``, ``majority [kinds, shares, S]`` for random and inverting nodes;
        ``influence [2, sybils, S]``, share of reputation of one operator's identities without and
        with admission tests.
    """
    keys = jax.random.split(jax.random.key(config.seed + 17), config.seeds)
    total = config.synthetic_nodes

    @jit_fast_compile
    def simulate(population: Any, keys: Any) -> Any:
        def one(key: Any, nodes: Any, threshold: Any) -> Any:
            info = fortytwo.simulate_nodes(
                key, nodes, num_requests=config.synthetic_requests, num_tests=TESTS,
                threshold=threshold,
            )  # fmt: skip
            return info.right.mean(), info.majority.mean(), info.sybil_weight[-1]

        over_keys = jax.vmap(one, (0, None, None))
        return jax.lax.map(lambda each: over_keys(keys, *each), population)

    def draw(**options: Any) -> fortytwo.SyntheticNodes:
        return fortytwo.synthetic_nodes(
            jax.random.key(config.seed), judge_accuracy=SYNTHETIC_ACCURACY, **options
        )

    swept = [
        (draw(num_nodes=total, byzantine=share, behavior=kind), 0.0)
        for kind in ("random", "inverter")
        for share in SHARES
    ]
    most = max(config.sybils)
    for threshold in (0.0, config.threshold):
        for count in config.sybils:
            nodes = draw(num_nodes=total - most, sybils=count, compute=1.0)
            missing = most - count
            padded = [
                np.pad(x, (0, missing), constant_values=value)
                for x, value in zip(nodes, (0.0, 0.0, -1, 0.0), strict=True)
            ]
            swept.append((fortytwo.SyntheticNodes(*padded), threshold))
    population = jax.tree.map(
        lambda *leaves: np.stack(leaves).astype(np.asarray(leaves[0]).dtype), *swept
    )
    right, majority, influence = (np.asarray(x) for x in simulate(population, keys))
    count = 2 * len(SHARES)
    return {
        "shares": np.array(SHARES),
        "right": right[:count].reshape(2, len(SHARES), -1),
        "majority": majority[:count].reshape(2, len(SHARES), -1),
        "influence": influence[count:].reshape(2, len(config.sybils), -1),
    }
