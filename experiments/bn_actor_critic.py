"""Agents that hear each other's actions before they choose: what a Bayesian network is worth.

First the coordination game of two and three agents in tables, by exact policy gradient: no
sampling, no critic, no network, so that nothing but the graph differs between the arms. Nobody
hears anybody (independent softmax policies), everybody hears the agent before (a line of N − 1
edges), or all before (the full graph, which can be any joint policy). Seeds draw the first tables.
As in the authors' code, steps are of 0.01 and states weigh ``1 / N`` in the objective, which only
scales the step; unlike there, a line of two agents has its one edge.

Then networked agents: three on a path, each paid the whole team's reward in a third of the states
and nothing in the others. Neighbours exchange linear critics, and only who is heard can be a
parent. Policies start from drawn tables and are judged exactly.

Then BN-MAPPO on slotted Aloha, in which neighbours who send at once collide. *learnt* draws a graph
for every state from learnt logits; *annealed* does and is driven to no edges; it is executed
without any as well. Full scale adds *independent*, which is MAPPO, the *full* graph, *random* ones,
and the coordination game. StarCraft is not among the games.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
"""

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

from experiments import bn_actor_critic_arms as arms
from experiments import harness
from experiments.claims import Judge
from experiments.harness import Claim, Paper, claim
from experiments.programs import program
from jaxswarm import agents, plotting, rollout, statistics
from jaxswarm.systems import bn_actor_critic

NAME = "bn_actor_critic"
TITLE = "Joint policies as Bayesian networks"
PAPER = Paper(
    "D. Chen, Q. Zhang",
    "Context-aware Bayesian network actor-critic methods for cooperative multi-agent "
    "reinforcement learning",
    2023,
)

# Fixed before the first run; shares of the optimal value.
GAIN = 0.03  # of the full graph over none
CLOSED = 0.25  # what is left of the Nash gap of the first tables
NEIGHBORS = 0.1  # of neighbours over nobody
PARITY = 0.05  # of full averaging with agents that are told the team's reward
SPARSE = 0.05  # density of an annealed graph
KEPT = 0.1  # share of its return that an annealed team may lose when executed without edges
GRAPHS = {
    "independent": bn_actor_critic.independent,
    "line": bn_actor_critic.line,
    "full": bn_actor_critic.full,
}


@dataclass(frozen=True)
class Config:
    """Sizes."""

    sizes: tuple[int, ...] = (2, 3)
    iterations: int = 2_000
    every: int = 50
    seeds: int = 49
    lr: float = 0.01
    discount: float = 0.95
    neighbor_steps: int = 30_000
    neighbor_seeds: int = 10
    actor_rate: float = 10.0
    aloha: int = 6  # members; 0 leaves the game out
    coordination: int = 0
    team_graphs: tuple[str, ...] = ("learnt", "annealed")
    team_iterations: int = 100
    team_envs: int = 32
    team_seeds: int = 5
    team_lr: float = 7e-4
    alpha: float = 0.1  # weight of the density's penalty before it rises tenfold
    episodes: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or any(n not in (2, 3, 5) for n in self.sizes):
            raise ValueError(f"sizes: expected some of 2, 3 and 5, got {self.sizes}")
        if self.iterations % self.every:
            raise ValueError(f"every: expected a divisor of {self.iterations}, got {self.every}")
        if not 0.0 <= self.discount < 1.0:
            raise ValueError(f"discount: expected within [0, 1), got {self.discount}")
        if min(self.neighbor_seeds, self.team_seeds, self.neighbor_steps) < 1:
            raise ValueError("neighbour_seeds, team_seeds, neighbour_steps: expected at least 1")


# Graphs are compared by ten seeds of full scale. At small scale, where they were tried, five seeds
# told nothing: learnt less independent was 1.1 ± 1.6 at base seed 1000 and −0.4 ± 2.0 at 0.
SCALES = {
    "smoke": Config(
        sizes=(2,), iterations=20, every=10, seeds=3, neighbor_steps=50, neighbor_seeds=3,
        aloha=0,
    ),
    "small": Config(),
    "full": Config(
        sizes=(2, 3, 5), iterations=5_000, every=100, seeds=12, neighbor_steps=100_000,
        aloha=10, coordination=3,
        team_graphs=("independent", "full", "learnt", "random", "annealed"),
        team_iterations=200, team_seeds=10,
    ),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """``{size: {"value" [graphs, S, records], "gap", "start" [graphs, S]}}``, neighbours, teams."""
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    results: dict[str, Any] = {}
    for n in config.sizes:
        progress(f"{n} agents")
        results[str(n)] = _size(config, n, keys)
    results["iterations"] = np.arange(1, config.iterations // config.every + 1) * config.every
    progress("three on a path")
    results["neighbors"] = arms.neighbors(
        arms.keys_of(config.seed, config.neighbor_seeds),
        steps=config.neighbor_steps,
        actor_rate=config.actor_rate,
    )
    results["teams"] = {}
    for name, (env, discount) in arms.games(config.aloha, config.coordination).items():
        progress(f"{name}, {env.num_agents} members")
        results["teams"][name] = arms.teams(
            env,
            arms.keys_of(config.seed, config.team_seeds),
            graphs=config.team_graphs,
            iterations=config.team_iterations,
            num_envs=config.team_envs,
            episodes=config.episodes,
            lr=config.team_lr,
            discount=discount,
            alpha=config.alpha,
        )
    return jax.tree.map(np.asarray, results)


def _size(config: Config, n: int, keys: jax.Array) -> dict[str, Any]:
    """All graphs and seeds in one program; values as shares of the best."""
    game = bn_actor_critic.coordination_game(n)
    learner = bn_actor_critic.bayesian_policy_gradient(game, weight=game.num_states / n)
    best = jnp.mean(bn_actor_critic.best_values(game, config.discount))
    shape = (n, game.num_states, game.num_states, 2)

    def arm(dag: jax.Array, key: jax.Array) -> Any:
        numbers = bn_actor_critic.BayesianHyperparameters(dag, config.lr, config.discount)
        start = learner.init(jax.random.normal(key, shape))
        end, records = rollout(
            lambda k, s, _: learner.step(k, s, numbers),
            start,
            config.iterations,
            key=key,
            every=config.every,
        )

        def gap(tables: jax.Array) -> jax.Array:
            return jnp.max(bn_actor_critic.nash_gap(tables, game, dag, config.discount, 300)) / best

        return records.info.value / best, gap(start), gap(end)

    dags = jnp.stack([jnp.asarray(make(n)) for make in GRAPHS.values()])
    over_seeds = jax.vmap(arm, (None, 0))
    value, start, gap = program(jax.vmap(over_seeds, (0, None)))(dags, keys)
    return {"value": value, "start": start, "gap": gap}


def claims(results: dict[str, Any]) -> list[Claim]:
    """Of tables, of neighbours, of teams."""
    sizes = [n for n in results if n.isdigit()]
    made = [each for n in sizes for each in _of_tables(n, results[n])]
    made += _of_neighbors(results["neighbors"])
    return made + [each for game in results.get("teams", {}).items() for each in _of_teams(*game)]


def _of_tables(n: str, found: dict[str, Any]) -> list[Claim]:
    """Hearing helps, all hearing more, and everybody ends near an equilibrium."""
    none, line, full = found["value"][:, :, -1]
    left = statistics.summarize(found["gap"].mean(axis=0) / found["start"].mean(axis=0))
    return [
        claim(
            NAME,
            f"{n} agents: the full graph earns {GAIN} more of the optimum",
            "independent policies",
            statistics.compare(full, none),
            at_least=GAIN,
        ),
        claim(
            NAME,
            f"{n} agents: and its interval is above zero",
            "independent policies",
            statistics.compare(full, none),
            at_least=0.0,
            judge="interval",
        ),
        claim(
            NAME,
            f"{n} agents: a line is worth something",
            "independent policies",
            statistics.compare(line, none),
            at_least=0.0,
            judge="interval",
        ),
        claim(
            NAME,
            f"{n} agents: the full graph is worth no less than the line",
            "the line",
            statistics.compare(full, line),
            at_least=0.0,
        ),
        claim(
            NAME,
            f"{n} agents: ascent leaves a quarter of the Nash gap or less",
            "the first tables",
            left,
            at_most=CLOSED,
            note="the largest gain of one agent, mean over graphs",
        ),
    ]


def _of_neighbors(found: dict[str, np.ndarray]) -> list[Claim]:
    """Private pay, and beliefs that travel along a path."""

    def more(what: str, arm: str, than: str, **bound: Any) -> Claim:
        gained = statistics.compare(found[arm], found[than])
        return claim(NAME, f"on a path: {what}", than, gained, **bound)

    told = "told the team's reward"
    return [
        more("gained by exchanging critics", "path", "alone", at_least=NEIGHBORS),
        more("gained by hearing the neighbour's action", "path", "path, deaf", at_least=0.0),
        more("centralised less full averaging", told, "everyone", at_most=PARITY),
    ]


def _of_teams(game: str, found: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    """Learnt graphs against a full one and none; graphs that vanish."""
    pairs: tuple[tuple[str, str, str, Judge], ...] = (
        ("learnt graphs earn more than MAPPO", "learnt", "independent", "interval"),
        ("the full graph earns more than MAPPO", "full", "independent", "effect"),
        ("learnt graphs earn no less than the full one", "learnt", "full", "effect"),
        ("annealed graphs earn no less than MAPPO", "annealed", "independent", "effect"),
    )
    returns = {arm: each["return"] for arm, each in found.items()}
    made = [
        claim(
            NAME,
            f"{game}: {what}",
            than,
            statistics.compare(returns[arm], returns[than]),
            at_least=0.0,
            judge=judge,
        )
        for what, arm, than, judge in pairs
        if arm in found and than in found
    ]
    if "annealed" not in found:
        return made
    annealed = found["annealed"]
    last = max(annealed["density"].shape[1] // 20, 1)
    lost = annealed["return"] - annealed["cut"]
    return [
        *made,
        claim(
            NAME,
            f"{game}: density of an annealed graph at the end",
            f"{SPARSE}",
            statistics.summarize(annealed["density"][:, -last:].mean(axis=1)),
            at_most=SPARSE,
        ),
        claim(
            NAME,
            f"{game}: executed without edges, an annealed team loses a tenth of its return or less",
            f"{KEPT} × with its edges",
            statistics.compare(lost, KEPT * np.abs(annealed["return"])),
            at_most=0.0,
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Tables: value while ascending; neighbours: final returns; teams: returns and densities."""
    sizes = [n for n in results if n.isdigit()]
    games = list(results.get("teams", {}))
    columns = max(len(sizes) + 1, 2 * len(games))
    grid = plotting.panels(2 if games else 1, columns, width=4.8, height=3.8)
    for column, n in enumerate(sizes):
        plotting.curves(
            dict(zip(GRAPHS, results[n]["value"], strict=True)),
            results["iterations"],
            title=f"{n} agents: who hears more, earns more",
            xlabel="exact gradient steps",
            ylabel="share of the optimal value",
            ax=grid[0, column],
        )
    _bars(results["neighbors"], grid[0, len(sizes)])
    for place, game in enumerate(games):
        found = results["teams"][game]
        plotting.curves(
            {arm: each["curve"] for arm, each in found.items()},
            title=f"BN-MAPPO on {game}, once it is past chaos",
            xlabel="iterations of PPO",
            ylabel="episode return while learning",
            ax=grid[1, 2 * place],
        )
        late = [each["curve"][:, each["curve"].shape[1] // 2 :] for each in found.values()]
        low, high = min(x.min() for x in late), max(x.max() for x in late)
        grid[1, 2 * place].set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        plotting.curves(
            {arm: each["density"] for arm, each in found.items()},
            title="edges, as a share of the full graph's",
            xlabel="iterations of PPO",
            ylabel="density",
            ax=grid[1, 2 * place + 1],
        )
    drawn = (len(sizes) + 1, 2 * len(games))
    for row, count in enumerate(drawn[: len(grid)]):
        for column in range(count, columns):
            grid[row, column].set_axis_off()
    plotting.save(grid[0, 0], path)


def _bars(found: dict[str, np.ndarray], ax: Any) -> None:
    """What three on a path earn in the end."""
    place = np.arange(len(found))
    ax.barh(place, [each.mean() for each in found.values()], color=plotting.PALETTE[0], height=0.6)
    for row, each in enumerate(found.values()):
        ax.plot(each, np.full(len(each), row), ".", color="black", alpha=0.35)
    ax.set_yticks(place, list(found))
    ax.invert_yaxis()
    ax.set_title("three on a path: private pay", loc="left", fontsize=13, color="0.2")
    ax.set_xlabel("share of the best, by seed")


if __name__ == "__main__":
    harness.main(__name__)
