"""Runs of the AgentNet experiment: every arm trains and is tested on the same streams of tasks.

Tasks enter at random agents, which execute them, split them or forward them over edges whose
weights follow success. The router's two choices (operation and next agent) are replaced by random
ones in turn; evolution and the executors' memory are switched off; agents fail. A global router
that reads all learnt capabilities chooses an agent for each part of a task; when it fails, tasks
stay where they enter. (In a pilot it gave all parts of a task to one agent, an unfair handicap.)
Under the paper's edge rule an edge needs twelve failures in a row to fall below the threshold, so
few edges are ever removed.

Six arms are run again with 32 agents of four neighbours each, where a local router sees an eighth
of what a global one does. Arms with noisy abilities start from estimates of the agents' own success
with an error of :data:`NOISE`, so that the arm without evolution routes too, as the paper's does.

The full scale, 1,024 agents with 32 neighbours each, is an extension: the paper names hundreds of
agents as unsolved. Its tasks are routed one after another, which bounds its length.

Limits: on the complete graph of five agents a local router sees all capabilities, as the global one
does. Without evolution and from equal capabilities nothing is ever forwarded. Specialities are
assigned in turn, so three agents have only three of the five.

Shapes: ``A`` arms, ``S`` seeds, ``T`` tasks of training and test, ``N`` agents, ``K`` task types,
``P`` parts of a task.

References:
    Y. Yang et al., AgentNet: Decentralized Evolutionary Coordination for LLM-based Multi-Agent
    Systems, 2025.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.agentnet.config import ARMS, CROWD_ARMS, Config
from jaxswarm import agents, coordination, topology
from jaxswarm.systems import agentnet

NOISE = 0.25  # standard deviation of noisy estimates of the success in a type
KEPT_AGENTS = 16  # rows of the final state that are kept of a large population


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train and test all arms of ``config.arms``.

    Returns:
        ``success {arm: [S]}``, mean over test tasks; ``training {arm: [S, train]}``, success of
        each training task; ``hops {arm: [S]}``, mean agents per task; ``edges [S, T]``, edges in
        use in the first arm; ``specialization {arm: [S, 2]}``, in the first and last quarter of
        training; ``weight`` and ``capability``, final state of the first arm and seed;
        ``crowd {arm: [S]}``, success on the sparse graph.
    """
    crowd = {}
    if config.crowd:
        progress(f"{config.crowd} agents with {config.crowd_degree} neighbours")
        many = replace(
            config, agents=config.crowd, degree=config.crowd_degree, arms=CROWD_ARMS,
            train=config.crowd_train, seeds=config.crowd_seeds,
        )  # fmt: skip
        info, _, _ = simulate(many)
        crowd = {
            name: info.success[arm, :, many.train :].mean(axis=1)
            for arm, name in enumerate(CROWD_ARMS)
        }
    progress("training and tests, all arms")
    info, weight, capability = simulate(config)
    train = slice(0, config.train)
    test = slice(config.train, None)
    quarter = max(config.train // 4, 2)
    windows = (slice(0, quarter), slice(config.train - quarter, config.train))
    specialization = {
        name: np.array(
            [
                [specialization_index(config, info, arm, seed, part) for part in windows]
                for seed in range(config.seeds)
            ]
        )
        for arm, name in enumerate(config.arms)
        if name.startswith("AgentNet") and not ARMS[name].failure
    }
    arms = list(enumerate(config.arms))
    return {
        "success": {name: info.success[arm, :, test].mean(axis=1) for arm, name in arms},
        "training": {name: info.success[arm, :, train] for arm, name in arms},
        "hops": {name: info.hops[arm].mean(axis=1) for arm, name in arms},
        "edges": info.edges[0],
        "specialization": specialization,
        "weight": weight[0, 0],
        "capability": capability[0, 0],
    } | ({"crowd": crowd} if crowd else {})


def simulate(config: Config) -> tuple[agentnet.NetInfo, np.ndarray, np.ndarray]:
    """Route the tasks of training and test with every arm and seed.

    Returns:
        Infos of all tasks with leaves ``[A, S, T, ...]``, and the final edge weights and
        capabilities ``[A, S, N, ...]``, of the first :data:`KEPT_AGENTS` agents if ``config.degree
        > 0``.
    """
    n, total = config.agents, config.train + config.test * config.repeats
    graph = (
        topology.random_regular(n, config.degree, seed=config.seed)
        if config.degree
        else topology.complete(n)
    )
    arms = [ARMS[name] for name in config.arms]
    switches = jnp.array([arm[:7] for arm in arms])  # bool[A, 7]: up to and with ``learning``
    members = np.array([n if config.degree else arm.members for arm in arms])
    exists = jnp.arange(n)[None, :] < members[:, None]
    failure = jnp.array([(arm.failure, arm.noisy) for arm in arms])

    def run_seed(switch: jax.Array, exists: jax.Array, flags: jax.Array, key: jax.Array) -> Any:
        failure, noisy = flags
        world = agentnet.population(jax.random.fold_in(key, 0), graph, config.types)
        stream = agentnet.sample_tasks(jax.random.fold_in(key, 1), world, total)
        victim = jax.random.randint(jax.random.fold_in(key, 2), (), 0, jnp.sum(exists))
        error = NOISE * jax.random.normal(jax.random.fold_in(key, 4), world.skill.shape)
        estimate = jnp.clip(jax.nn.sigmoid(world.skill) + error, 0.0, 1.0)
        system = agentnet.agentnet(
            world,
            rule=config.rule,
            capacity=config.capacity,
            capability=jnp.where(noisy, estimate, 0.6),
        )
        choices = agentnet.Choices(*switch[:6])
        has_router, learning = choices.router, switch[6]

        def step(state: Any, inputs: Any) -> tuple[Any, Any]:
            task, index = inputs
            testing = index >= config.train
            failed = failure & testing
            alive = exists & ~(failed & ~has_router & (jnp.arange(n) == victim))
            current = choices._replace(
                router=has_router & ~failed, routed=choices.routed & ~(failed & has_router)
            )
            step_key = jax.random.fold_in(jax.random.fold_in(key, 3), index)
            return system.step(step_key, state, task, current, alive, learning & ~testing)

        state, info = jax.lax.scan(step, system.init(), (stream, jnp.arange(total)))
        return info, state.weight, state.capability

    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    if config.degree:  # one run after another: the states of large populations fill the memory

        def run_arms(key: jax.Array) -> Any:
            return jax.lax.map(
                lambda arm: run_seed(arm[0], arm[1], arm[2], key), (switches, exists, failure)
            )

        results = jax.jit(lambda keys: jax.lax.map(run_arms, keys))(keys)
        info, weight, capability = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), results)
        weight, capability = weight[:, :, :KEPT_AGENTS], capability[:, :, :KEPT_AGENTS]
    else:
        over_seeds = jax.vmap(run_seed, in_axes=(None, None, None, 0))
        over_arms = jax.vmap(over_seeds, in_axes=(0, 0, 0, None))
        info, weight, capability = jax.jit(over_arms)(switches, exists, failure, keys)
    return jax.tree.map(np.asarray, info), np.asarray(weight), np.asarray(capability)


def specialization_index(
    config: Config, info: agentnet.NetInfo, arm: int, seed: int, part: slice
) -> float:
    """Mutual information between agent and task type, relative to the types' maximal entropy.

    0 if all agents work on all types alike, 1 if the agent determines the type.
    """
    worker, kind = info.agent[arm, seed, part], info.kind[arm, seed, part]
    roles = coordination.role_information(worker, kind, config.agents, config.types)
    return float(roles.mutual_information / np.log2(config.types))
