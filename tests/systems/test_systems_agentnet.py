"""AgentNet: memory laws, acyclic paths, both edge rules, ablations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import topology
from jaxswarm.coordination import memory
from jaxswarm.systems import agentnet

N, K = 5, 5
ALIVE = jnp.ones(N, bool)


@pytest.fixture(scope="module")
def world():
    return agentnet.population(jax.random.key(0), topology.complete(N), K)


@pytest.fixture(scope="module")
def stream(world):
    return agentnet.sample_tasks(jax.random.key(1), world, 300)


@pytest.fixture(scope="module")
def play(world, stream):
    """Compiled once for each rule; all else is data."""

    def made(rule):
        def run(choices, alive, learning, threshold):
            evolution = agentnet.Evolution(threshold=threshold)
            system = agentnet.agentnet(world, rule=rule, capacity=12, evolution=evolution)

            def body(state, inputs):
                task, index = inputs
                key = jax.random.fold_in(jax.random.key(2), index)
                return system.step(key, state, task, choices, alive, learning)

            return jax.lax.scan(body, system.init(), (stream, jnp.arange(stream.entry.shape[0])))

        return jax.jit(run)

    compiled = {rule: made(rule) for rule in agentnet.RULES}

    def played(choices=None, alive=ALIVE, learning=True, rule="paper", threshold=0.3):
        choices = agentnet.Choices() if choices is None else choices
        return compiled[rule](choices, alive, learning, threshold)

    return played


def unit(*numbers):
    row = np.array(numbers, np.float32)
    return jnp.asarray(row / np.linalg.norm(row))


def test_memory_evicts_the_fragment_of_least_utility():
    kept = memory.empty_memory(3, 2)
    for i, embedding in enumerate([unit(1, 0), unit(0, 1), unit(1, 1)]):
        kept = memory.store(kept, embedding, i, 1.0, float(i))
    slot, similarity = memory.retrieve(kept, unit(0, 1), 2)
    assert kept.content[slot[0]] == 1
    assert float(similarity[0]) == pytest.approx(1.0)
    kept = memory.mark_used(kept, jnp.array([0, 1]), jnp.array([True, True]), 3.0)
    kept = memory.store(kept, unit(-1, 0), 9, 1.0, 4.0)
    assert set(np.asarray(kept.content).tolist()) == {
        0,
        1,
        9,
    }  # the unused, least unique one was evicted
    same = memory.store(kept, unit(-1, 0), 7, 1.0, 5.0, active=False)
    jax.tree.map(np.testing.assert_array_equal, same, kept)


@pytest.mark.slow
def test_only_neighbours_are_visited_and_every_part_is_executed(play, stream):
    _, info = play(agentnet.Choices(random_operation=True, random_next=True))
    parts = np.asarray(stream.active)
    agent = np.asarray(info.agent)
    assert (agent[parts] >= 0).all()
    assert (agent[~parts] == -1).all()
    assert np.asarray(info.hops).max() <= 3
    _, still = play(agentnet.Choices(routed=False))
    assert (np.asarray(still.hops) == 0).all()


@pytest.mark.slow
def test_learnt_routing_beats_chance_and_finds_specialists(play):
    state, info = play(agentnet.Choices())
    _, random = play(agentnet.Choices(random_operation=True, random_next=True))
    assert float(info.success[150:].mean()) > float(random.success[150:].mean()) + 0.1
    assert (np.argmax(np.asarray(state.capability), axis=1) == np.arange(N)).sum() >= 3


def test_dead_agents_do_nothing_and_an_agent_without_edges_executes(play):
    alive = ALIVE.at[2].set(False)
    _, info = play(agentnet.Choices(), alive=alive)
    assert not (np.asarray(info.agent) == 2).any()
    _, alone = play(agentnet.Choices(), threshold=5.0)
    assert (np.asarray(alone.hops) == 0).all()
    assert (np.asarray(alone.edges) == 0).all()


def test_without_learning_nothing_changes(play):
    state, _ = play(agentnet.Choices(), learning=False)
    assert float(jnp.abs(state.capability - 0.6).max()) < 1e-6
    assert not bool(state.executor.filled.any())


@pytest.mark.parametrize("rule", agentnet.RULES)
@pytest.mark.slow
def test_edges_follow_their_rule(play, rule):
    state, _ = play(agentnet.Choices(), rule=rule)
    weight = np.asarray(state.weight)
    low, high = (0.0, 1.0) if rule == "paper" else (0.1, 2.0)
    assert (weight >= low).all()
    assert (weight <= high + 1e-6).all()
    assert np.ptp(weight) > 0.05


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda w: agentnet.agentnet(w, rule="x"), "rule"),
        (lambda w: agentnet.agentnet(w, capacity=0), "capacity"),
        (lambda w: agentnet.agentnet(w, retrieved=99), "retrieved"),
        (lambda w: agentnet.agentnet(w, hops=0), "hops"),
        (
            lambda w: agentnet.agentnet(w, evolution=agentnet.Evolution(edge_decay=1.5)),
            "edge_decay",
        ),
        (lambda w: agentnet.sample_tasks(jax.random.key(0), w, 3, parts=0), "parts"),
        (lambda w: memory.empty_memory(0, 2), "capacity"),
        (lambda w: memory.retrieve(memory.empty_memory(2, 2), unit(1, 0), 3), "k:"),
    ],
)
def test_bad_input_is_refused(world, build, message):
    with pytest.raises(ValueError, match=message):
        build(world)
