"""Runs of the AgentConductor experiment: all arms on the same tasks, agents and random numbers.

Every arm, learned or fixed, gets two turns (but for "learned once"): a failed task is executed
again, fixed graphs with the same graph. All learned arms of a seed start from one imitated policy,
whose imitation takes turns with the options that change what a policy observes. The pruned graph
starts from the full mesh and loses agents and references as long as the reward on training tasks
rises. The oracle sees hidden tests: it searches a graph for each of the first test tasks by mean
reward, from stars and then over neighbouring graphs; it is judged on new draws, and compared with
the other arms on these tasks.

Shapes: ``S`` seeds, ``D`` difficulties.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.agent_conductor.config import LEARNED, SHIFTED, Config
from experiments.agent_conductor.search import CANDIDATES, fitted_graphs, pruned_graph
from experiments.harness.compile import jit_fast_compile
from jaxswarm.systems import agent_conductor as ac

OWN = "AgentConductor"
FIXED = ("single coder", "chain of four", "full mesh", "pruned graph", "random graph")
ORACLE = "oracle (hidden tests)"
IMITATED = (
    ac.Options(), ac.Options(adaptive=False), ac.Options(true_difficulty=True),
)  # fmt: skip
"""Options that imitation takes in turn."""


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train, search and test all arms on every seed.

    Returns:
        ``test`` and ``shifted``, ``{arm: {measure: [S, D]}}`` (means over tasks of a difficulty);
        ``overall`` and ``overall_shifted``, ``{arm: {measure: [S]}}``; ``searched``, ``{arm:
        {measure: [S]}}`` on the tasks of the oracle; ``reward {arm: [S, updates]}``; ``examples``,
        graphs of the first seed, one for each difficulty; ``pruned``, that graph of the first seed.
    """
    programs = Programs(config)
    rows: list[dict[str, Any]] = []
    for seed in range(config.seeds):
        key = jax.random.fold_in(jax.random.key(config.seed), seed)
        tests, search = jax.tree.map(np.asarray, programs.draw(key))
        progress(f"seed {seed}, learned arms")
        learned, info = _train(config, programs, key, tests)
        progress(f"seed {seed}, fixed graphs and searches")
        rows.append({
            "arms": learned | _fixed(config, programs, key, info["nodes"], tests, search),
            "difficulty": [tasks.difficulty for tasks in tests], "info": info,
        })  # fmt: skip
        rows[-1]["pruned"] = rows[-1]["arms"].pop("graph")
    return _collected(config, rows)


def _system(config: Config, lr: float, steps: int) -> ac.Conductor:
    schedule = optax.cosine_decay_schedule(lr, steps)
    return ac.conductor(
        slots=config.slots,
        width=config.width,
        group_size=config.group,
        kl_weight=config.kl_weight,
        optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)),
    )


def _tasks(config: Config, key: jax.Array) -> Any:
    """Test tasks of both distributions, and those of the search of the pruned graph."""
    keys = jax.random.split(jax.random.fold_in(key, 10), 3)
    tests = (
        ac.sample_tasks(keys[0], config.test),
        ac.sample_tasks(keys[1], config.test, SHIFTED),
    )
    return tests, ac.sample_tasks(keys[2], config.search_tasks)


def measures(found: ac.Episode, tasks: ac.CodeTasks) -> dict[str, jax.Array]:
    """What is measured on each task, ``float32[B]``."""
    size = ac.graph_size(found.first.graph)
    values = {
        "passed": found.passed,
        "first": found.first.outcome.passed,
        "tokens": found.tokens,
        "reward": found.reward,
        "nodes": size.nodes,
        "edges": size.edges,
        "invalid": found.first.outcome.error != 0,
        "inferred": found.difficulty == tasks.difficulty,
    }
    return {name: x.astype(jnp.float32) for name, x in values.items()}


class Programs:
    """The compiled programs; loops over updates, arms and seeds run on the host.

    One program of all these loops takes minutes to compile, these take seconds, and a step is long
    enough that calling it costs nothing.
    """

    def __init__(self, config: Config):
        imitating = _system(config, config.imitation_lr, config.imitation)
        system = _system(config, config.lr, config.updates)

        def imitate(key: jax.Array, i: jax.Array, state: Any, option: ac.Options) -> Any:
            own = jax.random.fold_in(jax.random.fold_in(key, 1), i)
            tasks = ac.sample_tasks(own, config.demonstrations)
            return imitating.imitate(own, state, tasks, option)[0]

        def step(key: jax.Array, i: jax.Array, state: Any, option: ac.Options) -> Any:
            own = jax.random.fold_in(jax.random.fold_in(key, 2), i)
            state, info = system.step(own, state, ac.sample_tasks(own, config.tasks), option)
            return state, info.reward

        def solve(key: jax.Array, params: Any, tasks: ac.CodeTasks, option: ac.Options) -> Any:
            found = system.solve(jax.random.fold_in(key, 3), params, tasks, option)
            return measures(found, tasks), found.first.graph

        def replay(key: jax.Array, tasks: ac.CodeTasks, graphs: ac.RoleGraph) -> Any:
            return measures(system.replay(jax.random.fold_in(key, 3), tasks, graphs), tasks)

        def compiled(fn: Any) -> Any:
            return jit_fast_compile(fn, level=config.compile_level, plain=True)

        self.system = system
        self.init = jit_fast_compile(system.init, level=0)
        self.draw = jit_fast_compile(lambda key: _tasks(config, key), level=0)
        self.random = jit_fast_compile(
            lambda key, nodes: ac.random_graphs(key, nodes, config.slots, exact=True), level=0
        )
        self.imitate, self.step = compiled(imitate), compiled(step)
        self.solve, self.replay = compiled(solve), compiled(replay)
        self.score = compiled(lambda *given: _score(system, *given))


def _train(config: Config, programs: Programs, key: jax.Array, tests: Any) -> Any:
    """All learned arms of a seed, and the policies before and after imitation."""
    options = {name: jax.tree.map(jnp.asarray, option) for name, option in LEARNED.items()}
    turns = [jax.tree.map(jnp.asarray, option) for option in IMITATED]
    begun = state = programs.init(jax.random.fold_in(key, 0))
    for i in range(config.imitation):
        state = programs.imitate(key, i, state, turns[i % len(turns)])
    imitated = programs.system.freeze(state)
    rewards, policies = {}, {}
    for name, option in options.items():
        state, curve = imitated, []
        for i in range(config.updates):
            state, reward = programs.step(key, i, state, option)
            curve.append(reward)
        rewards[name] = np.stack([np.asarray(x) for x in curve])
        policies[name] = (state.params, option)
    plain = options[OWN]
    policies["imitation alone"] = (imitated.params, plain)
    policies["before imitation"] = (begun.params, plain)
    found = {
        name: [programs.solve(key, params, tasks, option) for tasks in tests]
        for name, (params, option) in policies.items()
    }
    graphs = [graph for _, graph in found[OWN]]
    return {name: [each for each, _ in row] for name, row in found.items()}, {
        "reward": rewards,
        "graph": graphs[0],
        "nodes": [jnp.maximum(ac.graph_size(graph).nodes, 1) for graph in graphs],
    }


def _fixed(
    config: Config, programs: Programs, key: jax.Array, nodes: Any, tests: Any, search: Any
) -> dict[str, Any]:
    """Fixed graphs, random ones of the sizes that the conductor chose, and the oracle's."""
    mesh = ac.full_mesh(slots=config.slots)
    none = np.zeros(CANDIDATES, np.int32)

    def on_average(graphs: ac.RoleGraph) -> np.ndarray:
        many = [np.broadcast_to(x[:, None], (len(x), config.search_tasks, *x.shape[1:]))
                for x in graphs]  # fmt: skip
        return np.asarray(programs.score(key, search, ac.RoleGraph(*many), none)).mean(axis=1)

    pruned = pruned_graph(on_average, mesh, config.prunings)
    graphs = dict(
        zip(FIXED, (ac.single_coder(config.slots), ac.chain(config.slots), mesh, pruned),
            strict=False)
    )  # fmt: skip
    found: dict[str, Any] = {}
    for name, graph in graphs.items():
        many = ac.RoleGraph(*(np.broadcast_to(x, (config.test, *np.shape(x))) for x in graph))
        found[name] = [programs.replay(key, tasks, many) for tasks in tests]
    own = jax.random.fold_in(key, 4)
    random = [programs.random(jax.random.fold_in(own, i), size) for i, size in enumerate(nodes)]
    found[FIXED[-1]] = [
        programs.replay(key, tasks, graph) for tasks, graph in zip(tests, random, strict=True)
    ]
    count = config.search_tasks
    some = jax.tree.map(lambda x: x[:count], tests[0])
    fitted = fitted_graphs(
        lambda graphs, draws: np.asarray(programs.score(key, some, graphs, draws)),
        pruned, count, config.oracle_draws, config.oracle_rounds, seed=config.seed,
    )  # fmt: skip
    rest = (config.test - count, config.slots)
    padded = ac.RoleGraph(
        *(np.concatenate([x, np.broadcast_to(y, (rest[0], *np.shape(y)))])
          for x, y in zip(fitted, mesh, strict=True))
    )  # fmt: skip
    best = programs.replay(key, tests[0], padded)
    found[ORACLE] = [{name: x[:count] for name, x in best.items()}]
    return found | {"graph": pruned}


def _score(
    system: ac.Conductor, key: jax.Array, tasks: ac.CodeTasks, graphs: ac.RoleGraph, draw: jax.Array
) -> jax.Array:
    """Reward of each candidate on each task ``[C, B]``; candidates of a draw share numbers."""

    def one(given: tuple[ac.RoleGraph, jax.Array]) -> jax.Array:
        graph, number = given
        # New ids give new random numbers; the hidden tests stay.
        own = tasks._replace(task=tasks.task + 10_000 * (number + 1))
        return system.replay(jax.random.fold_in(key, 5), own, graph).reward

    return jax.lax.map(one, (graphs, draw))


def _collected(config: Config, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Arrange the measures of all seeds by arm, as means over tasks."""
    rows = jax.tree.map(np.asarray, rows)
    arms = list(rows[0]["arms"])

    def means(which: int, member: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        return {
            name: {
                measure: np.stack([
                    row["arms"][name][which][measure]
                    @ member(row["difficulty"][which][: len(row["arms"][name][which][measure])])
                    for row in rows
                ])
                for measure in rows[0]["arms"][name][which]
            }
            for name in arms if which < len(rows[0]["arms"][name])
        }  # fmt: skip

    def levels(difficulty: np.ndarray) -> np.ndarray:
        member = np.eye(len(ac.DIFFICULTIES))[difficulty]
        return member / np.maximum(member.sum(axis=0), 1)

    def everything(difficulty: np.ndarray) -> np.ndarray:
        return np.full(len(difficulty), 1 / len(difficulty))

    def searched(difficulty: np.ndarray) -> np.ndarray:
        return np.where(
            np.arange(len(difficulty)) < config.search_tasks, 1 / config.search_tasks, 0
        )

    first = rows[0]
    return {
        "test": means(0, levels),
        "shifted": means(1, levels),
        "overall": means(0, everything),
        "overall_shifted": means(1, everything),
        "searched": means(0, searched),
        "reward": {name: np.stack([row["info"]["reward"][name] for row in rows])
                   for name in LEARNED},
        "examples": _examples(first["info"]["graph"], first["difficulty"][0]),
        "pruned": first["pruned"]._asdict(),
    }  # fmt: skip


def _examples(graph: ac.RoleGraph, difficulty: np.ndarray) -> dict[str, np.ndarray]:
    """First graphs of the first seed, for each difficulty the valid one of median size."""
    size = np.asarray(ac.graph_size(graph).nodes)
    valid = np.asarray(ac.format_error(graph, graph.role.shape[-1])) == 0
    chosen = []
    for level in range(len(ac.DIFFICULTIES)):
        candidates = np.flatnonzero((difficulty == level) & (valid | ~valid.any()))
        candidates = candidates if candidates.size else np.arange(len(size))
        middle = np.argsort(size[candidates], kind="stable")[len(candidates) // 2]
        chosen.append(candidates[middle])
    return {name: np.asarray(x)[chosen] for name, x in graph._asdict().items()}
