"""Run the exact part, all arms on the grid tasks, networked agents, and the point mazes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dqc.config import Config
from experiments.dqc.learners import (
    ABLATIONS,
    PLAIN,
    World,
    arm_numbers,
    evaluate,
    make_network,
    stacked,
    train,
    world_of,
)
from experiments.dqc.tabular import exact_part
from experiments.dqc.worlds import GridTask, data_set, flat_rows, grid_tasks, oracle_success
from experiments.harness.compile import as_one_leaf, jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import agents, gossip, topology
from jaxswarm.rl import offline
from jaxswarm.types import Key, Params

NETWORKED_TASK = 1  # the long corridor
ORACLE_EPISODES = 200


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``exact``: see :func:`experiments.dqc.tabular.exact_part`; ``oracle``: ``{kind: [W, S]}``;
        ``success``: ``{arm: [W, S, P]}``; ``paths``: ``{arm: [T]}``, cells of one episode in the
        sticky corridor; ``networked``: ``{arm: [S]}``; ``mazes``: ``{maze: {arm: [S, 5]}}``.
    """
    progress("exact chunk critics")
    results: Results = {"exact": exact_part(config)}
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

    def arm(
        key: Key, data: offline.Trajectories, world: World, hp: offline.ChunkHyperparameters
    ) -> tuple[jax.Array, jax.Array]:
        params = train(key, config, network, data, hp)
        return evaluate(jax.random.fold_in(key, 1), config, network, params, hp, world, longest)

    over_arms = jax.vmap(arm, (None, None, None, 0))
    over_seeds = jax.vmap(over_arms, (0, 0, None, None))
    hp = stacked(numbers, names)
    program = jit_fast_compile(
        lambda keys, stack, worlds: jax.lax.map(
            lambda each: over_seeds(keys, each[0], each[1], hp), (stack, worlds)
        )
    )
    success, cells = program(keys, stack, worlds)
    results["success"] = {name: success[:, :, m] for m, name in enumerate(names)}
    results["paths"] = {name: cells[0, 0, names.index(name), 0] for name in ("QC", "DQC")}
    progress("networked agents")
    results["networked"] = networked_agents(
        config, network, numbers["DQC"], keys, tasks[NETWORKED_TASK], data[NETWORKED_TASK]
    )
    pooled = results["success"]["DQC"][NETWORKED_TASK]
    results["networked"]["pooled"] = np.asarray(pooled).mean(-1)
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
    rows = [jax.tree.map(lambda *x: jnp.stack(x), *of_task) for of_task in sets]
    return jax.tree.map(lambda *x: jnp.stack(x), *rows)


def networked_agents(
    config: Config,
    network: offline.ChunkNetwork,
    numbers: dict[str, float],
    keys: jax.Array,
    task: GridTask,
    data: list[dict[str, np.ndarray]],
) -> Results:
    """Success of DQC when agents hold disjoint shards, ``{arm: [S]}``: on a ring, and isolated.

    Episodes are dealt by the region in which they take place: agents know different parts of the
    maze. The cells that may be goals are known to all.
    """
    shards, pools = [], []
    for own in data:
        rows = flat_rows(task, own)
        order = np.argsort(own["cell"].mean(1))
        dealt = [part.tolist() for part in np.split(order, config.agents)]
        shards.append(offline.shard(*rows, dealt))
        whole = offline.trajectories(*rows)
        pools.append(offline.GoalPool(whole.goal, whole.label))
    shards, pools = (jax.tree.map(lambda *x: jnp.stack(x), *each) for each in (shards, pools))
    world = world_of(task)
    longest = int(world.limits.max())
    hp = offline.ChunkHyperparameters(**numbers)  # type: ignore[arg-type]
    learner = offline.chunk_learner(
        network, hp, num_candidates=config.candidates, flow_steps=config.flow_steps
    )
    ring = as_one_leaf(gossip.averaging(gossip.mixing(topology.ring(config.agents))))

    def team(
        takes_part: jax.Array, key: Key, shard: offline.Trajectories, pool: offline.GoalPool
    ) -> jax.Array:
        algorithm = offline.networked(learner, ring, shard, batch_size=config.batch, pool=pool)
        init_key, key, test_key = jax.random.split(key, 3)
        present = jnp.broadcast_to(takes_part, (config.agents,))

        def step(
            state: offline.NetworkedOfflineState, key: jax.Array
        ) -> tuple[offline.NetworkedOfflineState, None]:
            return algorithm.step(key, state, present)[0], None

        state = algorithm.init(init_key)
        state, _ = jax.lax.scan(step, state, jax.random.split(key, config.steps))

        def tested(params: Params) -> jax.Array:
            return evaluate(test_key, config, network, params, hp, world, longest)[0].mean()

        return jax.vmap(tested)(state.agents.params).mean()

    over_seeds = jax.vmap(team, (None, 0, 0, 0))
    program = jit_fast_compile(jax.vmap(over_seeds, (0, None, None, None)), level=1)
    success = program(jnp.array([True, False]), keys, shards, pools)
    return dict(zip(("ring", "isolated"), success, strict=True))


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
