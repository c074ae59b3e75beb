"""When does a team of agents do better than one? Five architectures under one token budget.

Twelve kinds of task (width, depth, coupling, tools, what the world shows), three abilities, teams
of three and five, one engine, the same workers, dice and tokens. What an architecture spends on
messages and checks it does not spend on work. Nothing is drawn from the paper's regression, and no
architecture has a success rate: scores come from subtasks that were worked on, told and checked.

The worker is a stand-in for a language model; its weaknesses are stated in ``Costs``. Benchmarks
and vendors of the paper are out of reach. Published versions disagree on R², so ours is printed and
never a threshold; it is high because two of the twenty columns, efficiency and amplification, are
made of the score that they predict. The choice of an architecture uses none of them. The paper's
error amplification does not follow from its printed success rates; ours is the ratio of failures,
and unrecovered errors are counted apart. ``full`` takes teams to
1,024 and draws where which architecture wins over width and depth.

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025 (v2).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import agents, plotting, statistics
from jaxswarm.coordination import layered_task, scaling_agents

NAME = "scaling_agents"
TITLE = "Scaling agent systems: when a team pays"
PAPER = Paper("Y. Kim et al.", "Towards a science of scaling agent systems", 2025)

# Fixed before the first run.
PARALLEL = 1.2  # centralised over single where subtasks do not need each other
CHAIN = 0.9  # most that a team keeps of the single agent's score on chains
ERRORS = 2.0  # unrecovered errors of independent over centralised teams
CROSSING = (0.2, 0.8)  # where teams stop paying, in the single agent's score
CHOICE, MARGIN = 0.6, 0.15  # right choices on unseen kinds of task; over the best fixed choice

ARCHITECTURES = scaling_agents.ARCHITECTURES
TEAMS = ARCHITECTURES[1:]


class Kind(NamedTuple):
    """A kind of task."""

    width: int
    depth: int
    coupling: int  # parents of a subtask
    tools: int
    shown: float  # chance that what a message lost can be seen


KINDS: dict[str, Kind] = {
    "survey": Kind(12, 1, 1, 2, 0.2),
    "survey, many tools": Kind(8, 1, 1, 8, 0.2),
    "comparison": Kind(6, 1, 1, 1, 0.5),
    "chain of 3": Kind(1, 3, 1, 2, 0.2),
    "chain of 5": Kind(1, 5, 1, 2, 0.2),
    "chain of 7": Kind(1, 7, 1, 0, 0.2),
    "chain in sight": Kind(1, 5, 1, 2, 0.9),
    "report": Kind(6, 2, 2, 2, 0.3),
    "browsing": Kind(4, 3, 1, 6, 0.5),
    "workflow": Kind(2, 4, 1, 4, 0.6),
    "plan": Kind(3, 4, 2, 1, 0.2),
    "entangled": Kind(4, 2, 4, 2, 0.2),
}
WIDE = ("survey", "survey, many tools", "comparison")
CHAINS = ("chain of 3", "chain of 5", "chain of 7")


@dataclass(frozen=True)
class Config:
    """Sizes."""

    abilities: tuple[float, ...] = (0.6, 0.75, 0.9)
    teams: tuple[int, ...] = (3, 5)
    tasks: int = 40  # per seed
    seeds: int = 16
    largest: int = 0  # team of the full scale's map; 0 for none
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.teams)) < 2 or min(self.teams) < 2:
            raise ValueError(f"teams: expected two sizes or more, from 2, got {self.teams}")
        if len(set(self.abilities)) < 3 or not all(0.0 < x < 1.0 for x in self.abilities):
            raise ValueError(
                f"abilities: expected three chances in (0, 1) or more, got {self.abilities}"
            )


SCALES = {
    "smoke": Config(tasks=4, seeds=3),
    "small": Config(),
    "full": Config(
        abilities=(0.5, 0.6, 0.7, 0.8, 0.9), teams=(2, 3, 5, 8), tasks=100, largest=1024
    ),
}  # fmt: skip


def cases(config: Config) -> list[tuple[str, int]]:
    """``(architecture, members)`` of the arms."""
    return [("single", 1), *((name, n) for n in config.teams for name in TEAMS)]


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Means over tasks, ``{measure: [kinds, arms, abilities, seeds]}``; the map at full scale."""
    progress("all architectures on all kinds of task")
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    graphs = [
        layered_task(k.depth, k.width, 1, fan_in=min(k.coupling, k.width), capacity=12, seed=i)
        for i, k in enumerate(KINDS.values())
    ]
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *graphs)
    results: dict[str, Any] = _measured(config, stacked, list(KINDS.values()), keys)
    results["abilities"] = np.array(config.abilities)
    results["members"] = np.array([n for _, n in cases(config)])
    results["which"] = np.array([ARCHITECTURES.index(name) for name, _ in cases(config)])
    if config.largest:
        progress(f"who wins, teams up to {config.largest:,}")
        results["map"] = _map(config, keys[:1])
    return jax.tree.map(np.asarray, results)


def _measured(config: Config, graphs: Any, kinds: list[Kind], keys: jax.Array) -> dict[str, Any]:
    pool = scaling_agents.team(max(config.teams))
    arms = [scaling_agents.architecture(name, n) for name, n in cases(config)]
    arch = jax.tree.map(lambda *x: jnp.array(x), *arms)

    def one(graph: Any, tools: Any, shown: Any, ability: Any, key: jax.Array) -> Any:
        def trace(a: Any, task: jax.Array) -> Any:
            return scaling_agents.play(
                key, graph, a, pool, ability, tools=tools, observability=shown, task=task
            )

        traces = jax.vmap(jax.vmap(trace, (None, 0)), (0, None))(arch, jnp.arange(config.tasks))
        found = scaling_agents.measures(traces, jax.tree.map(lambda x: x[:1], traces))
        mean = jax.tree.map(lambda x: jnp.mean(x, axis=1), found)  # over tasks: [arms]
        score, turns = jnp.mean(traces.score, axis=1), jnp.mean(traces.turns, axis=1)
        # ratios of means where a single trace may have no failure at all
        failures = 1.0 - score
        return mean._asdict() | {
            "score": score,
            "turns": turns,
            "tokens": jnp.mean(traces.tokens, axis=1),
            "overhead": turns / turns[0] - 1.0,
            "efficiency": score / (turns / turns[0]),
            "amplification": failures / jnp.maximum(failures[0], 1e-3),
        }

    over = jax.vmap(one, (None, None, None, None, 0))  # seeds
    over_kinds = jax.vmap(over, (None, None, None, 0, None))  # and abilities
    tools = jnp.array([float(k.tools) for k in kinds])
    shown = jnp.array([k.shown for k in kinds])
    each = jax.jit(
        lambda: jax.lax.map(
            lambda x: over_kinds(x[0], x[1], x[2], jnp.array(config.abilities), keys),
            (graphs, tools, shown),
        )
    )()
    return {name: np.moveaxis(np.asarray(x), -1, 1) for name, x in each.items()}


def _map(config: Config, keys: jax.Array) -> dict[str, Any]:
    """Winner ``int [widths, depths]`` at ability 0.75, and turns of decentralised teams by size."""
    widths, depths = (1, 2, 4, 8, 16), (1, 2, 4, 8)
    pool = scaling_agents.team(8)
    arch = jax.tree.map(
        lambda *x: jnp.array(x),
        *[scaling_agents.architecture(n, 1 if n == "single" else 8) for n in ARCHITECTURES],
    )
    winner = np.zeros((len(widths), len(depths)), int)
    for i, width in enumerate(widths):
        for j, depth in enumerate(depths):
            graph = layered_task(depth, width, 1, capacity=128, seed=0)

            def score(a: Any, task: jax.Array, graph: Any = graph) -> jax.Array:
                return scaling_agents.play(
                    keys[0], graph, a, pool, 0.75, observability=0.2, task=task
                ).score

            over = jax.vmap(jax.vmap(score, (None, 0)), (0, None))
            means = jax.jit(over)(arch, jnp.arange(config.tasks)).mean(axis=1)
            winner[i, j] = int(jnp.argmax(means))
    sizes, turns = [], []
    size = 2
    while size <= config.largest:
        graph = layered_task(1, 12, 1, capacity=12)
        big = scaling_agents.architecture("decentralised", size)
        plenty = scaling_agents.Costs(budget=1e9)
        pool = scaling_agents.team(size)
        trace = jax.jit(
            lambda key, graph=graph, big=big, pool=pool, plenty=plenty: scaling_agents.play(
                key, graph, big, pool, 0.75, costs=plenty
            )
        )(keys[0])
        sizes.append(size)
        turns.append(float(trace.turns))
        size *= 4
    return {"winner": winner, "sizes": np.array(sizes), "turns": np.array(turns)}


def _of(results: dict[str, Any], name: str, measure: str, kinds: Any = None) -> np.ndarray:
    """``[kinds, abilities, seeds]``: mean over team sizes of an architecture."""
    arms = np.asarray(results["which"]) == ARCHITECTURES.index(name)
    table = np.asarray(results[measure])[:, arms].mean(axis=1)
    return table if kinds is None else table[[list(KINDS).index(k) for k in kinds]]


def gains(results: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Score of the single agent, and relative gain of the teams that talk; ``[cases, seeds]``."""
    single = _of(results, "single", "score")
    talk = [_of(results, name, "score") for name in TEAMS if name != "independent"]
    gain = np.mean(talk, axis=0) / np.maximum(single, 1e-3) - 1.0
    seeds = single.shape[-1]
    return single.reshape(-1, seeds), gain.reshape(-1, seeds)


def line(results: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Slope of the gain on the single agent's score, and where it crosses zero, ``[seeds]``."""
    single, gain = gains(results)
    fits = [np.polyfit(x, y, 1) for x, y in zip(single.T, np.clip(gain, -1, 2).T, strict=True)]
    slope, level = np.array(fits).T
    return slope, -level / slope


def choices(results: dict[str, Any]) -> dict[str, np.ndarray]:
    """Choice for each kind of task from the other kinds: ``hit``, ``fixed`` ``[kinds]`` and more.

    Features are of the task and of the single agent's runs, nothing of the teams'.
    """
    table = np.asarray(results["score"]).mean(axis=-1)  # [kinds, arms, abilities]
    members, which = np.asarray(results["members"]), np.asarray(results["which"])
    sizes = sorted(set(members[which > 0]))
    rows, scores, owner = [], [], []
    for k, kind in enumerate(KINDS.values()):
        for a, ability in enumerate(np.asarray(results["abilities"])):
            for n in sizes:
                arms = [0, *(int(np.flatnonzero((members == n) & (which == w))[0])
                             for w in range(1, len(ARCHITECTURES)))]  # fmt: skip
                single = table[k, 0, a]
                turns = np.asarray(results["turns"])[k, 0, a].mean()
                wide, deep = np.log(kind.width), np.log(kind.depth)
                hidden = (1.0 - kind.shown) * deep
                rows.append(
                    [1.0, wide, deep, hidden, kind.coupling / kind.width, np.log1p(kind.tools),
                     ability, np.log(n), single, single**2, np.log(turns), single * wide,
                     single * deep]
                )  # fmt: skip
                scores.append(table[k, arms, a])
                owner.append(k)
    x, y, kinds = np.array(rows), np.array(scores), np.array(owner)
    chosen, predicted = np.zeros(len(y), int), np.zeros_like(y)
    fixed = np.zeros(len(y), int)
    best = y.argmax(axis=1)
    for k in range(len(KINDS)):
        train = kinds != k
        picks, guess = scaling_agents.select(x, y, train)
        chosen[~train], predicted[~train] = picks[~train], guess[~train]
        fixed[~train] = np.bincount(best[train], minlength=len(ARCHITECTURES)).argmax()
    per_kind = lambda hit: np.array([hit[kinds == k].mean() for k in range(len(KINDS))])  # noqa: E731
    regret = y.max(axis=1) - y[np.arange(len(y)), chosen]
    return {
        "hit": per_kind(chosen == best), "fixed": per_kind(fixed == best),
        "predicted": predicted, "measured": y, "regret": per_kind(regret),
    }  # fmt: skip


def regression(results: dict[str, Any]) -> dict[str, Any]:
    """The paper's twenty columns on our runs of teams, kinds of task left out in turn."""
    kinds, arms, abilities, _ = np.asarray(results["score"]).shape
    mean = {m: np.asarray(results[m]).mean(axis=-1)[:, 1:] for m in (
        "score", "overhead", "density", "redundancy", "efficiency", "amplification"
    )}  # fmt: skip
    shape = (kinds, arms - 1, abilities)
    single = np.asarray(results["score"]).mean(axis=-1)[:, :1]
    tools = np.array([k.tools for k in KINDS.values()], float)[:, None, None]
    flat = lambda x: np.broadcast_to(x, shape).ravel()  # noqa: E731
    table = scaling_agents.design(
        ability=flat(np.asarray(results["abilities"])[None, None, :]),
        tools=flat(tools),
        agents=flat(np.asarray(results["members"])[1:][None, :, None]),
        overhead=flat(mean["overhead"]),
        density=flat(mean["density"]),
        redundancy=flat(mean["redundancy"]),
        efficiency=flat(mean["efficiency"]),
        amplification=flat(mean["amplification"]),
        single=flat(single),
    )
    groups = flat(np.arange(kinds)[:, None, None])
    return scaling_agents.cross_validated(table, mean["score"].ravel(), groups)


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar: signs, orders, the crossing, and choices on unseen kinds of task."""

    def made(what: str, baseline: str, values: Any, **bounds: Any) -> Claim:
        return claim(NAME, what, baseline, statistics.summarize(np.asarray(values)), **bounds)

    def total(name: str, measure: str, kinds: Any = None) -> np.ndarray:
        return _of(results, name, measure, kinds).mean(axis=(0, 1))

    wide = total("centralised", "score", WIDE) / total("single", "score", WIDE)
    alone = total("single", "score", CHAINS)
    chains = {name: total(name, "score", CHAINS) / alone for name in TEAMS}
    wrong = {name: total(name, "unrecovered") for name in TEAMS}
    extra = {name: total(name, "overhead") for name in TEAMS}
    slope, crossing = line(results)
    picked = choices(results)
    others = np.min([chains[n] for n in TEAMS if n != "independent"], axis=0)
    between = np.minimum(extra["decentralised"], extra["centralised"])
    above = np.maximum(extra["decentralised"], extra["centralised"])
    return [
        made("wide, shallow tasks: centralised over single", "single", wide, at_least=PARALLEL),
        *(
            made(f"chains: what a team keeps, {name}", "single", chains[name], at_most=CHAIN)
            for name in TEAMS
        ),
        made(
            "chains: independent is the worst team (difference to the next)",
            "other teams",
            others - chains["independent"],
            at_least=0.0,
            judge="interval",
        ),
        made(
            "unrecovered errors: independent over decentralised",
            "decentralised",
            wrong["independent"] / wrong["decentralised"],
            at_least=1.0,
            judge="interval",
        ),
        made(
            "unrecovered errors: decentralised over centralised",
            "centralised",
            wrong["decentralised"] / wrong["centralised"],
            at_least=1.0,
            judge="interval",
        ),
        made(
            "unrecovered errors: independent over centralised",
            "centralised",
            wrong["independent"] / wrong["centralised"],
            at_least=ERRORS,
        ),
        made(
            "turns: independent adds fewer than those who talk (difference)",
            "independent",
            between - extra["independent"],
            at_least=0.0,
            judge="interval",
        ),
        made(
            "turns: a hybrid adds more than both (difference)",
            "centralised, decentralised",
            extra["hybrid"] - above,
            at_least=0.0,
            judge="interval",
        ),
        made(
            "the better the single agent, the less a team gains (slope)",
            "0",
            slope,
            at_most=0.0,
            judge="interval",
        ),
        made("teams stop paying above", "a range", crossing, at_least=CROSSING[0]),
        made("teams stop paying below", "a range", crossing, at_most=CROSSING[1]),
        made(
            "right architecture chosen for kinds of task never seen",
            "60 %",
            picked["hit"],
            at_least=CHOICE,
            note="interval over kinds",
        ),
        made(
            "more right choices than the best fixed architecture makes",
            "most frequent winner of the others",
            picked["hit"] - picked["fixed"],
            at_least=MARGIN,
            note="interval over kinds",
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Gains by kind of task, errors and turns, the crossing, predicted against measured."""
    grid = plotting.panels(2, 2, width=6.6, height=4.6)
    single = _of(results, "single", "score").mean(axis=(1, 2))
    gain = np.array(
        [_of(results, n, "score").mean(axis=(1, 2)) / np.maximum(single, 1e-3) - 1 for n in TEAMS]
    )
    plotting.heatmap(
        np.clip(gain.T, -1, 1.5),
        list(KINDS),
        list(TEAMS),
        title="Gain over a single agent, relative (at most 1.5)",
        ax=grid[0, 0],
    )
    ax = grid[0, 1]
    place, width = np.arange(len(ARCHITECTURES)), 0.38
    for shift, (measure, label) in enumerate(
        (("unrecovered", "errors never put right, per task"), ("turns", "turns, tens"))
    ):
        values = [_of(results, n, measure).mean() for n in ARCHITECTURES]
        if measure == "turns":
            values = [v / 10.0 for v in values]
        ax.bar(
            place + (shift - 0.5) * width, values, width, label=label,
            color=plotting.PALETTE[shift],
        )  # fmt: skip
    ax.set_xticks(place, list(ARCHITECTURES), fontsize=9)
    ax.legend(frameon=False)
    plotting.titles(ax, "Checks cost turns and save errors", "", "mean over all tasks")
    ax = grid[1, 0]
    x, y = (t.mean(axis=1) for t in gains(results))
    ax.scatter(x, 100 * np.clip(y, -1, 2), s=22, color=plotting.PALETTE[0])
    slope, crossing = (float(np.mean(v)) for v in line(results))
    ends = np.array([0.0, 1.0])
    ax.plot(ends, 100 * slope * (ends - crossing), color=plotting.PALETTE[1])
    ax.axhline(0.0, color="#5A5A5A", linewidth=1.0)
    plotting.titles(
        ax,
        f"Above {crossing:.2f} alone, teams that talk stop paying",
        "score of the single agent",
        "gain of centralised, decentralised and hybrid teams, %",
    )
    ax = grid[1, 1]
    picked = choices(results)
    for i, name in enumerate(ARCHITECTURES):
        ax.scatter(
            picked["predicted"][:, i], picked["measured"][:, i], s=14, label=name,
            color=plotting.PALETTE[i],
        )  # fmt: skip
    ax.plot([0, 1], [0, 1], color="#9A9A9A", linestyle=(0, (4, 3)))
    ax.legend(frameon=False, fontsize=9)
    r2 = regression(results)["r2"]
    plotting.titles(
        ax,
        f"Unseen kinds of task: {picked['hit'].mean():.0%} chosen right",
        "predicted score",
        f"measured score (the paper's twenty columns: R² {r2:.2f})",
    )
    plotting.save(grid[0, 0], path)


if __name__ == "__main__":
    harness.main(__name__)
