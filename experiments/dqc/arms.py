"""Run the exact part, all arms on the grid tasks, networked agents, and the point mazes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dqc.config import Config
from experiments.dqc.learners import (
    ABLATIONS,
    PLAIN,
    Start,
    World,
    arm_numbers,
    decay,
    evaluate,
    final_params,
    learner_of,
    make_network,
    stacked,
    starts,
    train,
    world_of,
)
from experiments.dqc.tabular import exact_part
from experiments.dqc.worlds import (
    GridTask,
    covered_pairs,
    data_set,
    flat_rows,
    grid_tasks,
    oracle_success,
)
from experiments.harness.compile import as_one_leaf, jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import agents, gossip, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.rl import offline
from jaxswarm.types import Key, Params

SHORT = 50  # gradient steps of a program that takes less time than its compilation
NETWORKED_TASK = 1  # the long corridor
ORACLE_EPISODES = 200


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``oracle``: ``{kind: [W, S]}``; ``success``: ``{arm: [W, S, P]}``; ``paths``:
        ``{arm: [T]}``, cells of one episode in the sticky corridor; and, where run, ``exact``: see
        :func:`experiments.dqc.tabular.exact_part`; ``networked``: see :func:`networked_agents`;
        ``mazes``: ``{maze: {arm: [S, 5]}}``.
    """
    results: Results = {}
    if "exact" in config.parts:
        progress("exact chunk critics")
        results["exact"] = exact_part(config)
    tasks = grid_tasks()
    progress("data and oracles")
    data = [
        [
            data_set(_generator(config, w, s), task, config.episodes, config.length)
            for s in range(config.seeds)
        ]
        for w, task in enumerate(tasks)
    ]
    results["oracle"] = oracles(config, tasks)
    progress("grid tasks: all arms")
    network = make_network(config)
    numbers = arm_numbers(config, network)
    names = PLAIN + ABLATIONS
    worlds = jax.tree.map(lambda *x: np.stack(x), *map(world_of, tasks))
    stack = stacked_data(tasks, data)
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    longest = int(worlds.limits.max())

    single, team = starts(network, keys)

    def arm(
        start: Start, data: offline.Trajectories, world: World, hp: offline.ChunkHyperparameters
    ) -> tuple[jax.Array, jax.Array]:
        params = train(start, config, network, data, hp)
        return evaluate(start.test, config, network, params, hp, world, longest)

    over_arms = jax.vmap(arm, (None, None, None, 0))
    over_seeds = jax.vmap(over_arms, (0, 0, None, None))
    hp = stacked(numbers, names)
    program = jit_fast_compile(
        lambda start, stack, worlds: jax.lax.map(
            lambda each: over_seeds(start, each[0], each[1], hp), (stack, worlds)
        ),
        level=0 if config.steps < SHORT else 2,
        plain=True,
    )
    success, cells = program(single, stack, worlds)
    results["success"] = {name: success[:, :, m] for m, name in enumerate(names)}
    results["paths"] = {name: cells[0, 0, names.index(name), 0] for name in ("QC", "DQC")}
    if "networked" in config.parts:
        progress("networked agents")
        results["networked"] = networked_agents(
            config,
            network,
            numbers["DQC"],
            (single, team),
            tasks[NETWORKED_TASK],
            data[NETWORKED_TASK],
        )
        pooled = results["success"]["DQC"][NETWORKED_TASK]
        results["networked"]["pooled, by place"] = np.asarray(pooled).mean(-1)
    if config.mazes:
        from experiments.dqc.pointmaze import run_maze

        results["mazes"] = {}
        for maze in config.mazes:
            progress(f"pointmaze-{maze}")
            results["mazes"][maze] = run_maze(config, maze)
    return jax.tree.map(np.asarray, results)


def stacked_data(
    tasks: list[GridTask], data: list[list[dict[str, np.ndarray]]]
) -> offline.Trajectories:
    """Data sets of all tasks and seeds, leaves ``[W, S, …]``."""
    sets = [
        [offline.trajectories(*flat_rows(task, own)) for own in of_task]
        for task, of_task in zip(tasks, data, strict=True)
    ]
    rows = [jax.tree.map(lambda *x: np.stack(x), *of_task) for of_task in sets]
    return jax.tree.map(lambda *x: np.stack(x), *rows)


def networked_agents(
    config: Config,
    network: offline.ChunkNetwork,
    numbers: dict[str, float],
    starts: tuple[Start, Start],
    task: GridTask,
    data: list[dict[str, np.ndarray]],
) -> Results:
    """Success of DQC when agents hold disjoint shards, ``{arm: [S]}``: on a ring, and isolated.

    On the *ring* agents exchange weights and Adam's moments; with *own moments* weights only. Step
    sizes decay, and policies use the moving average of their critic, as those of one learner.

    *Shards by place* are the task's episodes, dealt by the region in which they take place. In
    *shards by section* the skills of an agent's episodes lead to cells of its own section of the
    corridor. The cells that may be goals are known to all. ``pooled, by section`` is one learner
    with the data of all agents; ``covered by own`` and ``covered by all``: shares of the
    evaluation's starts and goals whose shortest way is in an agent's own shard (mean over agents)
    and in all of them, by section.
    """
    n = config.agents
    sections = [section_data(config, task, seed) for seed in range(config.seeds)]
    unions = [
        {name: np.concatenate([each[name] for each in own]) for name in own[0]} for own in sections
    ]
    by_place = [_shards(task, own, np.argsort(own["cell"].mean(1)), n) for own in data]
    by_section = [_shards(task, own, np.arange(config.episodes), n) for own in unions]
    kinds = [_stack(made) for made in (by_place, by_section)]
    shards, pools, wholes = _stack(kinds)  # leaves [kind, S, …]
    world = world_of(task)
    longest = int(world.limits.max())
    hp = offline.ChunkHyperparameters(**numbers)  # type: ignore[arg-type]
    ring = as_one_leaf(gossip.averaging(gossip.mixing(topology.ring(n))))

    def tested(key: Key, params: Params) -> jax.Array:
        return evaluate(key, config, network, params, hp, world, longest)[0].mean()

    def team(
        takes_part: jax.Array,
        moments: jax.Array,
        start: Start,
        shard: offline.Trajectories,
        pool: offline.GoalPool,
    ) -> jax.Array:
        present = jnp.broadcast_to(takes_part, (n,))

        def with_rate(share: Any) -> Algorithm:
            learner = learner_of(config, start.given(network), hp._replace(lr=share * hp.lr))
            return offline.networked(
                learner, ring, shard, batch_size=config.batch, pool=pool, moments=moments
            )

        def step(
            state: offline.NetworkedOfflineState, inputs: tuple[jax.Array, jax.Array]
        ) -> tuple[offline.NetworkedOfflineState, None]:
            key, share = inputs
            return with_rate(share).step(key, state, present)[0], None

        state = with_rate(1.0).init(start.train)
        inputs = jax.random.split(start.train, config.steps), decay(config.steps)
        last = jax.lax.scan(step, state, inputs)[0].agents
        return jax.vmap(tested, (None, 0))(start.test, final_params(last)).mean()

    def one(start: Start, whole: offline.Trajectories) -> jax.Array:
        return tested(start.test, train(start, config, network, whole, hp))

    level = 0 if config.steps < SHORT else 1
    over_seeds = jax.vmap(team, (None, None, 0, 0, 0))
    over_shards = jax.vmap(over_seeds, (None, None, None, 0, 0))
    program = jit_fast_compile(
        jax.vmap(over_shards, (0, 0, None, None, None)), level=level, plain=True
    )
    exchanges, moments = np.array([(True, True), (True, False), (False, False)]).T
    success = program(exchanges, moments, starts[1], shards, pools)  # [arm, kind, S]
    whole = jax.tree.map(lambda x: x[1], wholes)
    pooled = jit_fast_compile(jax.vmap(one), level=level, plain=True)(starts[0], whole)
    arms = {
        f"{arm}, {kind}": success[row, column]
        for row, arm in enumerate(("ring", "ring, own moments", "isolated"))
        for column, kind in enumerate(("by place", "by section"))
    }
    oracle = {
        "covered by own": np.array(
            [np.mean([covered_pairs(task, x) for x in y]) for y in sections]
        ),
        "covered by all": np.array([covered_pairs(task, x) for x in unions]),
    }
    return arms | {"pooled, by section": pooled} | oracle


def section_data(config: Config, task: GridTask, seed: int) -> list[dict[str, np.ndarray]]:
    """Episodes of every agent, whose skills lead to cells of its own section."""
    n, count = config.agents, config.episodes // config.agents
    edges = np.linspace(0, task.size, n + 1).astype(int)
    return [
        data_set(
            _generator(config, NETWORKED_TASK, seed, 2, k),
            task,
            count,
            config.length,
            leads=(int(edges[k]), int(edges[k + 1])),
        )
        for k in range(n)
    ]


def _shards(
    task: GridTask, data: dict[str, np.ndarray], order: np.ndarray, n: int
) -> tuple[offline.Trajectories, offline.GoalPool, offline.Trajectories]:
    """Shards of equal parts of the episodes in an order, all goal cells, and all the data."""
    rows = flat_rows(task, data)
    whole = offline.trajectories(*rows)
    shards = offline.shard(*rows, [part.tolist() for part in np.split(order, n)])
    return shards, offline.GoalPool(whole.goal, whole.label), whole


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *x: np.stack(x), *trees)


def oracles(config: Config, tasks: list[GridTask]) -> Results:
    """Success of planners that know the maze, in closed loop and with chunks, ``[W, S]``."""
    kinds = {"closed loop": 1, "open loop": config.horizon}
    return {
        kind: np.array(
            [
                [
                    oracle_success(
                        _generator(config, w, s, 1), task, ORACLE_EPISODES, executed=executed
                    )
                    for s in range(config.seeds)
                ]
                for w, task in enumerate(tasks)
            ]
        )
        for kind, executed in kinds.items()
    }


def _generator(config: Config, *which: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, *which])
