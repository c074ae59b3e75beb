"""AgentNet: memory laws, acyclic ways, both edge rules, ablations that mean what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import topology
from jaxswarm.coordination import agentnet, memory

N, K = 5, 5
ALIVE = jnp.ones(N, bool)


@pytest.fixture(scope="module")
def world():
    return agentnet.population(jax.random.key(0), topology.complete(N), K)


@pytest.fixture(scope="module")
def stream(world):
    return agentnet.tasks(jax.random.key(1), world, 300)


def played(world, stream, choices, alive=ALIVE, learning=True, **change):
    system = agentnet.agentnet(world, capacity=12, **change)

    def body(state, inputs):
        task, index = inputs
        key = jax.random.fold_in(jax.random.key(2), index)
        return system.step(key, state, task, choices, alive, learning)

    count = stream.entry.shape[0]
    scan = jax.jit(lambda s: jax.lax.scan(body, system.init(), (s, jnp.arange(count))))
    return scan(stream)


def unit(*numbers):
    row = np.array(numbers, np.float32)
    return jnp.asarray(row / np.linalg.norm(row))


def test_memory_keeps_what_is_useful():
    kept = memory.empty_memory(3, 2)
    for i, key in enumerate([unit(1, 0), unit(0, 1), unit(1, 1)]):
        kept = memory.remembered(kept, key, i, 1.0, float(i))
    slot, like = memory.retrieve(kept, unit(0, 1), 2)
    assert kept.content[slot[0]] == 1
    assert float(like[0]) == pytest.approx(1.0)
    kept = memory.touched(kept, jnp.array([0, 1]), jnp.array([True, True]), 3.0)
    kept = memory.remembered(kept, unit(-1, 0), 9, 1.0, 4.0)
    assert set(np.asarray(kept.content).tolist()) == {0, 1, 9}  # the unused, unoriginal one went
    same = memory.remembered(kept, unit(-1, 0), 7, 1.0, 5.0, active=False)
    jax.tree.map(np.testing.assert_array_equal, same, kept)


def test_only_neighbours_are_met_and_every_part_is_done_by_someone(world, stream):
    _, info = played(world, stream, agentnet.Choices(random_operation=True, random_next=True))
    parts = np.asarray(stream.active)
    agent = np.asarray(info.agent)
    assert (agent[parts] >= 0).all()
    assert (agent[~parts] == -1).all()
    assert np.asarray(info.hops).max() <= 3
    _, still = played(world, stream, agentnet.Choices(routed=False))
    assert (np.asarray(still.hops) == 0).all()


def test_learnt_routing_beats_chance_and_finds_specialists(world, stream):
    state, info = played(world, stream, agentnet.Choices())
    _, lots = played(world, stream, agentnet.Choices(random_operation=True, random_next=True))
    assert float(info.success[150:].mean()) > float(lots.success[150:].mean()) + 0.1
    assert (np.argmax(np.asarray(state.capability), axis=1) == np.arange(N)).sum() >= 3


def test_the_dead_do_nothing_and_a_lone_agent_executes(world, stream):
    alive = ALIVE.at[2].set(False)
    _, info = played(world, stream, agentnet.Choices(), alive=alive)
    assert not (np.asarray(info.agent) == 2).any()
    cut = agentnet.Evolution(threshold=5.0)
    _, alone = played(world, stream, agentnet.Choices(), evolution=cut)
    assert (np.asarray(alone.hops) == 0).all()
    assert (np.asarray(alone.edges) == 0).all()


def test_without_learning_nothing_changes(world, stream):
    state, _ = played(world, stream, agentnet.Choices(), learning=False)
    assert float(jnp.abs(state.capability - 0.6).max()) < 1e-6
    assert not bool(state.executor.filled.any())


@pytest.mark.parametrize("rule", agentnet.RULES)
def test_edges_follow_their_rule(world, stream, rule):
    state, _ = played(world, stream, agentnet.Choices(), rule=rule)
    weight = np.asarray(state.weight)
    low, high = (0.0, 1.0) if rule == "paper" else (0.1, 2.0)
    assert (weight >= low).all()
    assert (weight <= high + 1e-6).all()
    assert np.ptp(weight) > 0.05


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda w: agentnet.agentnet(w, rule="x"), "rule"),
        (lambda w: agentnet.agentnet(w, capacity=0), "retrieved"),
        (lambda w: agentnet.agentnet(w, retrieved=99), "retrieved"),
        (lambda w: agentnet.agentnet(w, hops=0), "hops"),
        (
            lambda w: agentnet.agentnet(w, evolution=agentnet.Evolution(edge_memory=1.5)),
            "edge_memory",
        ),
        (lambda w: agentnet.tasks(jax.random.key(0), w, 3, parts=0), "parts"),
        (lambda w: memory.empty_memory(0, 2), "capacity"),
        (lambda w: memory.retrieve(memory.empty_memory(2, 2), unit(1, 0), 3), "k:"),
    ],
)
def test_bad_input_is_refused(world, build, message):
    with pytest.raises(ValueError, match=message):
        build(world)
