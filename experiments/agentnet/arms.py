"""AgentNet: does routing learnt by agents themselves find the specialists?

Tasks enter at random agents; operation and next agent are ablated one at a time, evolution and the
executors' memory switched off, agents killed. One router who sees everybody is the bound; when it
dies, tasks stay where they enter. In the pilot that router gave all parts of a task to one agent,
an unfair handicap; it now chooses for each part. Under the paper's edge rule from weight 1 an edge
needs a dozen failures in a row to fall below the threshold, so hardly any is ever cut.

Skills are hidden, embeddings are projections plus noise: no language model is involved and no
benchmark figure is claimed. ``full``, 1,024 agents with 32 neighbours each, is an extension: the
paper names hundreds of agents as unsolved. Tasks come one by one, which bounds its size.

References:
    Y. Yang et al., AgentNet: decentralized evolutionary coordination for LLM-based multi-agent
    systems, 2025.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import agents, plotting, statistics, topology
from jaxswarm.coordination import agentnet, symphony_coord

NAME = "agentnet"
TITLE = "AgentNet: evolving decentralised routing"
PAPER = Paper("Y. Yang et al.", "AgentNet: decentralized evolutionary coordination", 2025)

# random operation, random next, router, routed, memory, shuffled, learning, members, killed
ARMS: dict[str, tuple[bool, bool, bool, bool, bool, bool, bool, int, bool]] = {
    "AgentNet": (False, False, False, True, True, False, True, 5, False),
    "random next": (False, True, False, True, True, False, True, 5, False),
    "random operation": (True, False, False, True, True, False, True, 5, False),
    "totally random": (True, True, False, True, True, False, True, 5, False),
    "global router": (False, False, True, True, True, False, True, 5, False),
    "unrouted": (False, False, False, False, True, False, True, 5, False),
    "no evolution": (False, False, False, True, True, False, False, 5, False),
    "no memory": (False, False, False, True, False, False, True, 5, False),
    "shuffled keys": (False, False, False, True, True, True, True, 5, False),
    "AgentNet, one killed": (False, False, False, True, True, False, True, 5, True),
    "global router, killed": (False, False, True, True, True, False, True, 5, True),
    "AgentNet, 3 agents": (False, False, False, True, True, False, True, 3, False),
    "AgentNet, 9 agents": (False, False, False, True, True, False, True, 9, False),
}
LADDER = ("AgentNet", "random next", "random operation", "totally random")


@dataclass(frozen=True)
class Config:
    """Sizes; ``train`` and ``test`` are the paper's for BBH."""

    train: int = 627
    test: int = 100
    repeats: int = 4  # test sets per seed
    types: int = 5
    capacity: int = 40
    rule: str = "paper"
    agents: int = 9
    degree: int = 0  # 0: everyone hears everyone
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rule not in agentnet.RULES or self.seeds < 2 or self.train < 4:
            raise ValueError(
                f"rule, seeds, train: expected one of {agentnet.RULES}, at least 2 and 4, got "
                f"{self.rule!r}, {self.seeds}, {self.train}"
            )


SCALES = {
    "smoke": Config(train=24, test=8, repeats=1, seeds=2, capacity=6),
    "small": Config(),
    "full": Config(
        train=40_000, test=2_000, repeats=1, types=8, capacity=20, agents=1024, degree=32,
        arms=("AgentNet", "unrouted"), seeds=2,
    ),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Successes, hops, edges of every arm ``[arm, seeds, tasks]``, and who did what."""
    progress("training and tests")
    n, total = config.agents, config.train + config.test * config.repeats
    graph = (
        topology.random_regular(n, config.degree, seed=config.seed)
        if config.degree
        else topology.complete(n)
    )
    rows = np.array([ARMS[name] for name in config.arms], object)
    flags = jnp.array(rows[:, :7].astype(bool))
    members = np.array([m if not config.degree else n for m in rows[:, 7]])
    alive = jnp.arange(n)[None, :] < members[:, None]
    killed = jnp.array(rows[:, 8].astype(bool))

    def one(flag: jax.Array, here: jax.Array, kill: jax.Array, key: jax.Array) -> Any:
        world = agentnet.population(jax.random.fold_in(key, 0), graph, config.types)
        stream = agentnet.tasks(jax.random.fold_in(key, 1), world, total)
        victim = jax.random.randint(jax.random.fold_in(key, 2), (), 0, jnp.sum(here))
        system = agentnet.agentnet(world, rule=config.rule, capacity=config.capacity)
        choices = agentnet.Choices(*flag[:6])

        def body(state: Any, inputs: Any) -> tuple[Any, Any]:
            task, index = inputs
            testing = index >= config.train
            dead = kill & testing  # one agent, or where there is one the router
            up = here & ~(dead & ~flag[2] & (jnp.arange(n) == victim))
            now = choices._replace(
                router=choices.router & ~dead, routed=choices.routed & ~(dead & flag[2])
            )
            dice = jax.random.fold_in(jax.random.fold_in(key, 3), index)
            return system.step(dice, state, task, now, up, flag[6] & ~testing)

        state, info = jax.lax.scan(body, system.init(), (stream, jnp.arange(total)))
        return info, state.weight, state.capability

    if config.degree:  # large: one after the other, states are big

        def all_arms(key: Any) -> Any:
            return jax.lax.map(lambda x: one(x[0], x[1], x[2], key), (flags, alive, killed))

        found = jax.jit(lambda keys: jax.lax.map(all_arms, keys))(
            agents.keys(jax.random.key(config.seed), config.seeds)
        )
        info, weight, capability = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), found)
        weight, capability = weight[:, :, :16], capability[:, :, :16]
    else:
        over = jax.vmap(jax.vmap(one, in_axes=(None, None, None, 0)), in_axes=(0, 0, 0, None))
        keys = agents.keys(jax.random.key(config.seed), config.seeds)
        info, weight, capability = jax.jit(over)(flags, alive, killed, keys)
    info = jax.tree.map(np.asarray, info)
    names = list(config.arms)
    window = max(config.train // 4, 2)
    special = {
        name: np.array(
            [
                [
                    _specialisation(info, i, s, part, n, config.types)
                    for part in (slice(0, window), slice(config.train - window, config.train))
                ]
                for s in range(config.seeds)
            ]
        )
        for i, name in enumerate(names)
        if name.startswith("AgentNet") and not name.endswith("killed")
    }
    train, test = slice(0, config.train), slice(config.train, total)
    return {
        "success": {a: info.success[i, :, test].mean(axis=1) for i, a in enumerate(names)},
        "training": {a: info.success[i, :, train] for i, a in enumerate(names)},
        "hops": {a: info.hops[i].mean(axis=1) for i, a in enumerate(names)},
        "edges": info.edges[0],
        "specialisation": special,
        "weight": np.asarray(weight[0, 0]),
        "capability": np.asarray(capability[0, 0]),
    }


def _specialisation(info: Any, arm: int, seed: int, part: slice, n: int, kinds: int) -> float:
    """Information between agent and type in the work of a window, as a share of all of it."""
    worker, kind = info.agent[arm, seed, part], info.kind[arm, seed, part]
    return symphony_coord.roles(worker, kind, n, kinds)["information"] / np.log2(kinds)


def claims(results: dict[str, Any]) -> list[Claim]:
    """The ladder of ablations, evolution, the global router, deaths, roles, memory."""
    score = {name: np.asarray(value) for name, value in results["success"].items()}
    special = results["specialisation"]
    rising = special["AgentNet"]
    if "random next" not in score:  # the large run has no ablations
        return [
            claim(
                NAME,
                "routing among thousands succeeds more often (an extension)",
                "unrouted",
                statistics.compare(score["AgentNet"], score["unrouted"]),
                at_least=0.05,
            )
        ]
    made = []
    for better, worse in itertools.pairwise(LADDER):
        effect = statistics.compare(score[better], score[worse])
        error = float(np.std(effect.effects, ddof=1) / np.sqrt(effect.seeds))
        made.append(
            claim(
                NAME,
                f"{better} beats {worse} by a standard error",
                worse,
                statistics.compare(score[better], score[worse] + error),
                at_least=0.0,
                note=f"difference {effect.effect:+.3f}, less one standard error",
            )
        )
    gain = score["AgentNet"] - score["no memory"]
    left = score["shuffled keys"] - score["no memory"]
    pairs: tuple[tuple[str, str, np.ndarray, Any, float], ...] = (
        ("AgentNet beats total randomness by 8 points", LADDER[3], score["AgentNet"],
         score[LADDER[3]], 0.08),
        ("evolution gains 5 points", "no evolution", score["AgentNet"], score["no evolution"],
         0.05),
        ("AgentNet is within 2 points of a router who sees all", "global router",
         score["AgentNet"], score["global router"], -0.02),
        ("with one agent killed 85 % of the success remains", "0.85 of all alive",
         score["AgentNet, one killed"], 0.85 * score["AgentNet"], 0.0),
        ("with one killed AgentNet stays above a system whose router died",
         "global router, killed", score["AgentNet, one killed"],
         score["global router, killed"], 0.0),
        ("agents specialise in training", "first quarter", rising[:, 1], rising[:, 0], 0.0),
        ("nine agents specialise more than three", "3 agents",
         special["AgentNet, 9 agents"][:, 1], special["AgentNet, 3 agents"][:, 1], 0.0),
    )  # fmt: skip
    made.append(
        claim(
            NAME,
            "a system whose only router died falls to the unrouted level",
            "unrouted",
            statistics.compare(score["global router, killed"], score["unrouted"]),
            at_most=0.03,
        )
    )
    made += [
        claim(NAME, sentence, baseline, statistics.compare(a, b), at_least=bound)
        for sentence, baseline, a, b, bound in pairs
    ]
    made.append(
        claim(
            NAME,
            "memory helps (a control of the next claim)",
            "no memory",
            statistics.summarize(gain),
            at_least=0.01,
            control=True,
        )
    )
    made.append(
        claim(
            NAME,
            "shuffling the keys removes 80 % of what memory gains",
            "0.2 of the gain",
            statistics.compare(0.2 * gain, left),
            at_least=0.0,
        )
    )
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Learning, ablations, the graph that is left, and capabilities."""
    grid = plotting.panels(2, 2, width=6.0, height=4.4)
    training = {k: np.asarray(v) for k, v in results["training"].items()}
    length = training["AgentNet"].shape[1]
    span = max(length // 12, 1)
    at = np.arange(span, length + 1, span)

    def rolled(rows: np.ndarray) -> np.ndarray:
        return rows[:, : len(at) * span].reshape(rows.shape[0], len(at), span).mean(axis=2)

    shown = [a for a in ("AgentNet", "global router", "random next", "unrouted") if a in training]
    plotting.curves(
        {arm: rolled(training[arm]) for arm in shown},
        at,
        xlabel="training task",
        ylabel="success rate, median and quartiles of seeds",
        title="Agents learn to route as well as one who sees all",
        ax=grid[0, 0],
    )
    ax = grid[0, 1]
    names = list(results["success"])
    values = [np.asarray(results["success"][name]) for name in names]
    errors = [2 * v.std(ddof=1) / np.sqrt(len(v)) for v in values]
    color = [plotting.PALETTE[0] if n == "AgentNet" else "#9A9A9A" for n in names]
    ax.barh(names[::-1], [v.mean() for v in values][::-1], color=color[::-1])
    ax.errorbar([v.mean() for v in values][::-1], np.arange(len(names)), xerr=errors[::-1],
                fmt="none", ecolor="#333333", elinewidth=1.2)  # fmt: skip
    ax.set_xlim(0.3, 1.0)
    ax.set_title("Success on test tasks, ± 2 standard errors", loc="left", fontsize=12)
    capability = np.asarray(results["capability"])
    weight = np.asarray(results["weight"])
    if capability.shape[0] == 9:
        capability = capability[:5]
    plotting.heatmap(
        capability,
        [f"agent {i}" for i in range(capability.shape[0])],
        [f"type {k}" for k in range(capability.shape[1])],
        title="What the agents learnt that each can do",
        ax=grid[1, 0],
    )
    if weight.shape == (9, 8):  # the five members: everyone hears all others, in ascending order
        kept = weight[:5, :4].ravel()
        plotting.graph(
            topology.complete(5),
            capability.max(axis=1),
            edges=np.maximum(kept - 0.45, 0.01),
            label="an agent's best capability",
            title=f"Edges, thicker with success: weights {kept.min():.2f} to {kept.max():.2f}",
            ax=grid[1, 1],
        )
    else:
        edges = np.asarray(results["edges"], float)
        keep = np.unique(np.linspace(0, edges.shape[1] - 1, 60).astype(int))
        plotting.curves(
            {"edges": edges[:, keep]},
            keep + 1,
            xlabel="task",
            ylabel="edges above the threshold",
            title="The graph that success leaves",
            ax=grid[1, 1],
        )
    plotting.save(grid[0, 0], path)


if __name__ == "__main__":
    harness.main(__name__)
