"""One worker of the user's own, through one backend, in every coordination system.

``scaling_agents`` with a language model is in ``test_systems_text_models.py``.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import coordination, topology
from jaxswarm.coordination import bandits
from jaxswarm.systems import agentnet, matrix, scaling_agents, symphony_coord

KEY = jax.random.key(0)
ABLE = 1  # the only worker that answers right
RIGHT = 3


def worker(asked):
    """A worker on the host: the able one answers ``RIGHT``, the others 0; 250 ms each."""

    def ask(call):
        asked.append((call["worker"], call["entity"], call["event"]))
        return {"answer": RIGHT if call["worker"] == ABLE else 0, "latency": 250.0}

    return coordination.host_backend(ask, 3, num_answers=5)


def test_symphony_coord_learns_which_worker_answers_right():
    asked = []
    pool = coordination.workers(np.zeros((3, 1)))  # by its hidden skills nobody ever succeeds
    world = symphony_coord.world(pool, np.full((3, 1), 0.5), types=[1.0])
    found = coordination.flood_search(topology.star(4), [0], range(1, 4), ttl=1)
    truths = np.full((40, 1), RIGHT)
    router = symphony_coord.router(
        found, bandits.linucb(6, radius=1.0), backend=worker(asked), truths=truths
    )

    @jax.jit
    def run():
        def step(state, index):
            return router.step(KEY, world, state, index, 0)

        return jax.lax.scan(step, router.init(world), jnp.arange(40))[1]

    info = run()
    np.testing.assert_array_equal(info.success[:, 0], (info.worker[:, 0] == ABLE) * 1.0)
    assert info.success[20:].mean() > 0.8
    assert (np.asarray(info.latency) == 250.0).all()
    assert asked == [(int(w), 0, t) for t, w in enumerate(np.asarray(info.worker)[:, 0])]


def test_agentnet_forwards_to_the_worker_that_answers_right():
    world = agentnet.population(KEY, topology.complete(3), 1, num_topics=2, size=4)
    tasks = agentnet.sample_tasks(KEY, world, 60, parts=1)
    tasks = tasks._replace(truth=jnp.full_like(tasks.truth, RIGHT))
    asked = []
    system = agentnet.agentnet(world, capacity=3, retrieved=1, hops=2, backend=worker(asked))

    @jax.jit
    def run():
        def step(state, task):
            key = jax.random.fold_in(KEY, task.number)
            alive = jnp.ones(3, bool)
            return system.step(key, state, task, agentnet.Choices(), alive, True)

        return jax.lax.scan(step, system.init(), tasks)

    state, info = run()
    np.testing.assert_array_equal(info.success, (info.agent[:, 0] == ABLE) * 1.0)
    assert info.success[40:].mean() > 0.9
    assert int(jnp.argmax(state.capability[:, 0])) == ABLE
    assert asked == [(int(a), t, 0) for t, a in enumerate(np.asarray(info.agent)[:, 0])]


def test_scaling_agents_and_independent_attempts_call_it():
    graph = coordination.layered_task(2, 1, 1)
    asked = []
    trace = jax.jit(
        lambda: scaling_agents.run_independent(
            KEY, graph, 2, scaling_agents.team(2), 1.0, vote=True, backend=worker(asked),
            truths=jnp.full(2, RIGHT),
        )
    )()  # fmt: skip
    assert float(trace.score) in (0.0, 1.0)
    first = {(who, event) for who, _, event in asked if event % 4 == 0}
    assert first == {(0, 0), (0, 4), (1, 8), (1, 12)}  # attempt a is worker a


def test_matrix_takes_durations_and_results_from_it():
    flow = matrix.flow([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    rows = matrix.sample_work(KEY, flow, 4, max_hops=2)
    asked = []
    answered = matrix.answered_work(KEY, rows, flow, worker(asked))
    assert (np.asarray(answered.service) == 0.25).all()
    assert len(set(np.asarray(answered.bits)[:, 0].tolist())) == 1  # role 0 answers 0 in all rows
    assert (np.asarray(answered.bits)[:, 0] != np.asarray(answered.bits)[:, 1]).all()
    assert set(asked) == {(hop, row, hop) for row in range(4) for hop in range(2)}
