"""Runs of the AgentConductor experiment: all arms on the same tasks, agents and random numbers.

Every arm, learned or fixed, gets two turns (but for "learned once"): a failed task is executed
again, fixed graphs with the same graph. The pruned graph starts from the full mesh and loses agents
and references as long as the same reward on training tasks rises. The oracle sees hidden tests: it
tries a family of stars on each task and takes the best by mean reward; it is judged on new draws.

Shapes: ``S`` seeds, ``D`` difficulties.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.agent_conductor.config import LEARNED, SHIFTED, Config
from experiments.agent_conductor.search import oracle_family, pruned_graph
from experiments.harness.compile import jit_fast_compile
from jaxswarm.systems import agent_conductor as ac

FIXED = ("single coder", "chain of four", "full mesh", "pruned graph", "random graph")
STARTS = {"N_max of hard tasks for all": 1, "true difficulty (ablation)": 2}
"""Which imitation an arm starts from, 0 by default."""


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train, search and test all arms on every seed.

    Returns:
        ``test`` and ``shifted``, ``{arm: {measure: [S, D]}}`` (means over tasks of a difficulty);
        ``overall`` and ``overall_shifted``, ``{arm: {measure: [S]}}``; ``invalid {before, after:
        [S]}``, shares of first graphs before and after imitation; ``reward {arm: [S, updates]}``;
        ``examples``, graphs of the first seed, one for each difficulty.
    """
    programs = Programs(config)
    family = oracle_family(config.slots)
    rows: list[dict[str, Any]] = []
    for seed in range(config.seeds):
        key = jax.random.fold_in(jax.random.key(config.seed), seed)
        tests, search = programs.draw(key)
        progress(f"seed {seed}, learned arms")
        learned, info = _train(config, programs, key, tests)
        progress(f"seed {seed}, fixed graphs and searches")
        pruned = pruned_graph(
            lambda graphs, key=key, search=search: programs.score(key, search, graphs),
            ac.full_mesh(slots=config.slots), config.prunings,
        )  # fmt: skip
        given = [
            ac.single_coder(config.slots), ac.chain(config.slots),
            ac.full_mesh(slots=config.slots), pruned,
        ]  # fmt: skip
        some = jax.tree.map(lambda x: x[: config.oracle_tasks], tests[0])
        rows.append({
            "learned": learned, "info": info, "pruned": pruned,
            "fixed": _fixed(config, programs, key, given, info["nodes"], tests),
            "oracle": programs.oracle(key, some, family),
        })  # fmt: skip
    return _collected(jax.tree.map(np.asarray, rows))


def _system(config: Config) -> ac.Conductor:
    return ac.conductor(
        slots=config.slots,
        width=config.width,
        group_size=config.group,
        kl_weight=config.kl_weight,
        optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(config.lr)),
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
    """Means over the tasks of each difficulty ``[D]``, and the number of tasks."""
    size = ac.graph_size(found.first.graph)
    values = {
        "passed": found.passed,
        "first": found.first.outcome.passed,
        "tokens": found.tokens,
        "nodes": size.nodes,
        "edges": size.edges,
        "invalid": found.first.outcome.error != 0,
        "inferred": found.difficulty == tasks.difficulty,
    }
    member = jax.nn.one_hot(tasks.difficulty, len(ac.DIFFICULTIES))
    count = jnp.sum(member, axis=0)
    means = {
        name: jnp.asarray(x, jnp.float32) @ member / jnp.maximum(count, 1)
        for name, x in values.items()
    }
    return means | {"count": count}


class Programs:
    """The compiled programs; loops over updates, arms and seeds run on the host.

    One program of all these loops takes minutes to compile, these take seconds, and a step is long
    enough that calling it costs nothing.
    """

    def __init__(self, config: Config):
        system = _system(config)

        def imitate(key: jax.Array, i: jax.Array, state: Any, option: ac.Options) -> Any:
            own = jax.random.fold_in(jax.random.fold_in(key, 1), i)
            tasks = ac.sample_tasks(own, config.demonstrations)
            return system.imitate(own, state, tasks, option)[0]

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
        self.score = compiled(lambda key, tasks, graphs: _score(system, key, tasks, graphs))
        self.oracle = compiled(
            lambda key, tasks, family: _oracle(config, system, key, tasks, family)
        )


def _train(config: Config, programs: Programs, key: jax.Array, tests: Any) -> Any:
    """All learned arms of a seed, and the policies before and after imitation."""
    options = {name: jax.tree.map(jnp.asarray, option) for name, option in LEARNED.items()}
    begun = programs.init(jax.random.fold_in(key, 0))
    imitated = []
    for name in (next(iter(LEARNED)), *STARTS):
        state = begun
        for i in range(config.imitation):
            state = programs.imitate(key, i, state, options[name])
        imitated.append(programs.system.freeze(state))
    rewards, policies = [], []
    for name, option in options.items():
        state, curve = imitated[STARTS.get(name, 0)], []
        for i in range(config.updates):
            state, reward = programs.step(key, i, state, option)
            curve.append(reward)
        rewards.append(np.stack([np.asarray(x) for x in curve]))
        policies.append((state.params, option))
    plain = next(iter(options.values()))
    policies += [(imitated[0].params, plain), (begun.params, plain)]
    found = [
        [programs.solve(key, params, tasks, option) for tasks in tests]
        for params, option in policies
    ]
    graphs = [graph for _, graph in found[0]]
    return [[each for each, _ in row] for row in found], {
        "reward": np.stack(rewards),
        "graph": graphs[0],
        "difficulty": tests[0].difficulty,
        "nodes": [jnp.maximum(ac.graph_size(graph).nodes, 1) for graph in graphs],
    }


def _fixed(
    config: Config, programs: Programs, key: jax.Array, given: list[ac.RoleGraph], nodes: Any,
    tests: Any,
) -> Any:  # fmt: skip
    """Fixed graphs, and random ones of the sizes that the conductor chose, on all tests."""
    found = []
    for graph in given:
        many = ac.RoleGraph(*(np.broadcast_to(x, (config.test, *np.shape(x))) for x in graph))
        found.append([programs.replay(key, tasks, many) for tasks in tests])
    own = jax.random.fold_in(key, 4)
    random = [programs.random(jax.random.fold_in(own, i), size) for i, size in enumerate(nodes)]
    return [
        *found,
        [programs.replay(key, tasks, graph) for tasks, graph in zip(tests, random, strict=True)],
    ]


def _score(
    system: ac.Conductor, key: jax.Array, tasks: ac.CodeTasks, graphs: ac.RoleGraph
) -> jax.Array:
    """Mean reward of each graph on the tasks of the search, ``[C]``."""
    count = tasks.task.shape[0]

    def one(graph: ac.RoleGraph) -> jax.Array:
        many = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), graph)
        return jnp.mean(system.replay(jax.random.fold_in(key, 5), tasks, many).reward)

    return jax.lax.map(one, graphs)


def _oracle(
    config: Config, system: ac.Conductor, key: jax.Array, tasks: ac.CodeTasks, family: Any
) -> Any:
    """The best graph of a family for each task, chosen by hidden rewards, on new draws."""
    count = tasks.task.shape[0]
    draws = config.oracle_draws
    many = jax.tree.map(lambda x: jnp.tile(x, (draws, *[1] * (x.ndim - 1))), tasks)
    # New ids give new random numbers; the hidden tests stay.
    many = many._replace(task=jnp.arange(draws * count, dtype=jnp.int32))

    def one(graph: ac.RoleGraph) -> jax.Array:
        own = jax.tree.map(lambda x: jnp.broadcast_to(x, (draws * count, *x.shape)), graph)
        found = system.replay(jax.random.fold_in(key, 6), many, own)
        return jnp.mean(found.reward.reshape(draws, count), axis=0)

    best = jnp.argmax(jax.lax.map(one, family), axis=0)
    chosen = jax.tree.map(lambda x: jnp.asarray(x)[best], family)
    return measures(system.replay(jax.random.fold_in(key, 3), tasks, chosen), tasks)


def _collected(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Arrange the measures of all seeds by arm."""
    learned = [*LEARNED, "imitation alone", "before imitation"]
    sets: list[dict[str, Any]] = [{}, {}]
    for which, arms in enumerate(sets):
        for place, names in (("learned", learned), ("fixed", FIXED)):
            for i, name in enumerate(names):
                arms[name] = {
                    measure: np.stack([row[place][i][which][measure] for row in rows])
                    for measure in rows[0][place][i][which]
                }
    sets[0]["oracle (hidden tests)"] = {
        measure: np.stack([row["oracle"][measure] for row in rows]) for measure in rows[0]["oracle"]
    }
    overall = [
        {
            name: {
                measure: (x * each["count"]).sum(axis=1) / each["count"].sum(axis=1)
                for measure, x in each.items() if measure != "count"
            }
            for name, each in arms.items()
        }
        for arms in sets
    ]  # fmt: skip
    reward = np.stack([row["info"]["reward"] for row in rows])
    return {
        "test": sets[0],
        "shifted": sets[1],
        "overall": overall[0],
        "overall_shifted": overall[1],
        "reward": {name: reward[:, i] for i, name in enumerate(LEARNED)},
        "examples": _examples(rows[0]),
        "pruned": rows[0]["pruned"]._asdict(),
    }


def _examples(row: dict[str, Any]) -> dict[str, np.ndarray]:
    """First graphs of the first seed, for each difficulty the valid one of median size."""
    graph, difficulty = row["info"]["graph"], row["info"]["difficulty"]
    size = np.asarray(ac.graph_size(graph).nodes)
    valid = np.asarray(ac.format_error(graph, graph.role.shape[-1])) == 0
    chosen = []
    for level in range(len(ac.DIFFICULTIES)):
        candidates = np.flatnonzero((difficulty == level) & (valid | ~valid.any()))
        candidates = candidates if candidates.size else np.arange(len(size))
        middle = np.argsort(size[candidates], kind="stable")[len(candidates) // 2]
        chosen.append(candidates[middle])
    return {name: np.asarray(x)[chosen] for name, x in graph._asdict().items()}
