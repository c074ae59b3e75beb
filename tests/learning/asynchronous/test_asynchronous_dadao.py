"""DADAO: exact drift, Lyapunov decrease in expectation, invariants, switching graphs."""

import inspect
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import block_diag, expm

from jaxswarm import learning, simulate, topology
from jaxswarm.learning import asynchronous
from jaxswarm.learning.asynchronous import convex
from jaxswarm.learning.asynchronous._dadao import GRADIENT, DadaoAgent, clocks, drift
from jaxswarm.learning.asynchronous.clocks import undirected_slots
from jaxswarm.learning.asynchronous.constants import constants
from jaxswarm.learning.asynchronous.events import SKIPPED, Events, poisson_events
from jaxswarm.topology import spectra


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def system(c):
    """The paper's 6 × 6 drift matrix, order x, x̃, y, ỹ, z, z̃."""
    nu, eta, alpha, alpha_tilde, theta = (float(v) for v in c[:5])
    return np.array(
        [
            [-eta, eta, 0, 0, 0, 0],
            [eta, -eta, 0, 0, 0, 0],
            [0, 0, -alpha, alpha, 0, 0],
            [0, -theta * nu, -theta, 0, -theta, 0],
            [0, 0, 0, 0, -alpha, alpha],
            [0, 0, 0, 0, alpha_tilde, -alpha_tilde],
        ]
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("condition", [1.0, 4.0, 26.0, 1e4])
@pytest.mark.parametrize("elapsed", [0.0, 1e-3, 1.0, 40.0, 1e4])
def test_drift_is_the_matrix_exponential(condition, elapsed):
    c = constants(3.0 * condition, 3.0, 11.0, 5.0)
    state = np.random.default_rng(0).normal(size=6)
    found = np.stack(drift(DadaoAgent(*state), elapsed, c))
    expected = expm(system(c) * elapsed) @ state
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * condition**0.5)


@pytest.mark.usefixtures("x64")
def test_drift_composes_and_keeps_the_conserved_means():
    c = constants(20.0, 1.0, 11.0, 5.0)
    state = DadaoAgent(*({"w": leaf} for leaf in np.random.default_rng(1).normal(size=(6, 4, 3))))
    once = drift(state, 3.0, c)
    twice = drift(drift(state, 1.2, c), 1.8, c)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), once, twice)
    total = lambda s: s.params["w"] + s.params_momentum["w"]  # noqa: E731
    np.testing.assert_allclose(total(once), total(state), rtol=1e-12)


def as_promised(c):
    return c


def curvatures(n, condition):
    """One parameter per agent, ``f_i = h_i x²/2`` with the extreme curvatures mixed."""
    return np.where(np.arange(n) % 2, condition, 1.0)


@jax.jit
def jump_matrix(c, curvature, kind, ids):
    n = len(curvature)
    process = learning.dadao_process(lambda x, h: h * x, c)
    event = Events(jnp.zeros(()), ids, kind)

    def apply(vector):
        rows = DadaoAgent(*vector.reshape(6, n))
        out = process.step(jax.random.key(0), process.init(rows), event, curvature)
        return jnp.stack(out.agents).ravel()

    return jax.jacfwd(apply)(jnp.zeros(6 * n))


def mean_square(graph, condition, change=as_promised, **options):
    """Generator of ``E[e eᵀ]`` where ``Σz = Σz̃ = 0``, that subspace's basis, and the constants."""
    n = graph.num_agents
    curvature = jnp.asarray(curvatures(n, condition))
    promised = constants(condition, 1.0, *(float(v) for v in spectra.chi(graph)), **options)
    c = change(promised)
    alone = jnp.stack([jnp.arange(n), jnp.full(n, n)], axis=1)
    jumps = [(float(c.gradient_rate), jump_matrix(c, curvature, 0, ids)) for ids in alone]
    pairs = undirected_slots(graph)[1]
    share = float(c.gossip_rate) / len(pairs)
    jumps += [(share, jump_matrix(c, curvature, 1, jnp.asarray(ids, int))) for ids in pairs]
    flow = np.kron(system(c), np.eye(n))
    zero_sum = np.linalg.svd(np.ones((1, n)))[2][1:].T
    basis = block_diag(*[np.eye(n)] * 4, *[zero_sum] * 2)
    inside = lambda m: basis.T @ m @ basis  # noqa: E731
    identity = np.eye(basis.shape[1])
    generator = np.kron(inside(flow), identity) + np.kron(identity, inside(flow))
    for rate, matrix in jumps:
        generator += rate * (
            np.kron(*[inside(np.asarray(matrix))] * 2) - np.kron(identity, identity)
        )
    return generator, basis, c, float(promised.rate)


def exponent(generator):
    """Growth rate of the mean square error, hence of the best quadratic Lyapunov function."""
    return np.linalg.eigvals(generator).real.max()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "graph", [topology.path(3), topology.complete(3)], ids=lambda graph: graph.name
)
@pytest.mark.parametrize("condition", [2.0, 30.0])
@pytest.mark.slow
def test_a_lyapunov_function_decreases_in_expectation_at_the_promised_rate(graph, condition):
    generator, _, _, promised = mean_square(graph, condition)
    assert exponent(generator) <= -promised


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("options", [{"gossip_rate": 12.0}, {"gradient_rate": 3.0}], ids=str)
def test_more_of_either_process_keeps_the_promise(options):
    generator, _, _, promised = mean_square(topology.path(3), 10.0, **options)
    assert exponent(generator) <= -promised


WRONG = {
    "gossip too rare for its constants": lambda c: c._replace(gossip_rate=c.gossip_rate / 8),
    "gradient steps for a smoother function": lambda c: c._replace(
        gamma=8 * c.gamma, gamma_tilde=8 * c.gamma_tilde
    ),
    "gossip steps for a worse graph": lambda c: c._replace(beta_tilde=16 * c.beta_tilde),
    "no gradient in the dual": lambda c: c._replace(delta=0 * c.delta),
}


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_wrong_constants_break_the_promise(change):
    generator, _, _, promised = mean_square(topology.path(3), 12.0, change)
    assert exponent(generator) > -promised


TIMES = np.array([10.0, 20.0, 30.0])


@jax.jit
def lyapunov_at(keys, found, ticking, curvature, begin, weight):
    """``V`` at :data:`TIMES` for streams of 300 events, and the time at which they end."""
    process = learning.dadao_process(lambda x, h: h * x, found)
    initial = process.init(DadaoAgent(*begin))

    def run(key):
        events = poisson_events(key, ticking, 300)

        def at(time):
            kept = events._replace(kind=jnp.where(events.time <= time, events.kind, SKIPPED))
            state, _ = process.run(key, initial, kept, curvature, every=300)
            vector = jnp.stack(process.at(state, time)).ravel()
            return vector @ weight @ vector

        return jax.lax.map(at, jnp.asarray(TIMES)), events.time[-1]

    return jax.vmap(run)(keys)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["as promised", "gossip too rare for its constants"])
@pytest.mark.slow
def test_the_lyapunov_function_averaged_over_event_draws(name):
    """``V = eᵀPe`` with ``P`` solved for the right constants, along runs drawn by the library."""
    graph, condition, draws = topology.path(3), 6.0, 2000
    generator, basis, _, rate = mean_square(graph, condition)
    size = basis.shape[1]
    solved = np.linalg.solve(generator.T + rate * np.eye(size**2), -np.eye(size).ravel()).reshape(
        size, size
    )
    assert np.linalg.eigvalsh(solved + solved.T).min() > 0
    weight = jnp.asarray(basis @ (solved + solved.T) @ basis.T)
    found = WRONG.get(name, as_promised)(
        constants(condition, 1.0, *(float(v) for v in spectra.chi(graph)))
    )
    begin = np.random.default_rng(0).normal(size=(6, 3))
    begin[4:] -= begin[4:].mean(axis=1, keepdims=True)
    keys = jax.random.split(jax.random.key(1), draws)
    values, last = lyapunov_at(
        keys, found, clocks(graph, found), curvatures(3, condition), jnp.asarray(begin), weight
    )
    assert float(last.min()) > 30.0  # the streams reach past the last time
    bound = begin.ravel() @ np.asarray(weight) @ begin.ravel() * np.exp(-rate * TIMES)
    mean, spread = np.asarray(values.mean(axis=0)), np.asarray(values.std(axis=0)) / draws**0.5
    if name == "as promised":
        assert np.all(mean <= bound + 3 * spread)
        assert np.all(np.diff(mean) < 0)
    else:
        assert mean[-1] > bound[-1] + 3 * spread[-1]


def setting(graph, condition=8.0, seed=0):
    made = convex.heterogeneous(graph.num_agents, condition=condition, seed=seed)
    samples = jax.tree.map(jnp.asarray, made.samples)
    algorithm = learning.dadao(
        convex.gradient("least_squares"),
        graph,
        smoothness=made.smoothness,
        convexity=made.convexity,
        events_per_step=200,
    )
    begin = jax.random.normal(jax.random.key(seed), (graph.num_agents, 5))
    return made, samples, algorithm, algorithm.init(begin)


def squared_error(params, made):
    return float(((np.asarray(params) - made.optimum) ** 2).sum(-1).mean())


@pytest.mark.usefixtures("x64")
def test_converges_linearly_to_the_optimum_of_the_sum_and_keeps_its_invariants(key):
    graph = topology.ring(6)
    made, samples, algorithm, state = setting(graph)
    before = squared_error(state.agents.params, made)
    state, _ = simulate(
        algorithm.step, state, 60, key=key, inputs=samples, every=20, progress=False
    )
    assert squared_error(state.agents.params, made) < 1e-9 * before
    c = constants(made.smoothness, made.convexity, *spectra.chi(graph))
    now = learning.dadao_process(convex.gradient("least_squares"), c).at(state)
    scale = float(jnp.abs(now.consensus).max())
    for part in (now.consensus, now.consensus_momentum):
        np.testing.assert_allclose(part.sum(axis=0), 0.0, atol=1e-11 * scale)
    # At rest the dual is each agent's own gradient less ν x*, and z balances it.
    own = jax.vmap(convex.gradient("least_squares"), (None, 0))(jnp.asarray(made.optimum), samples)
    np.testing.assert_allclose(now.consensus, -own, atol=1e-3 * scale)
    assert int(state.counts.sum()) == 60 * 200


def test_float32_reaches_its_accuracy(key):
    made, samples, algorithm, state = setting(topology.complete(4))
    for r in range(20):
        state, _ = jax.jit(algorithm.step)(jax.random.fold_in(key, r), state, samples)
    assert state.agents.params.dtype == jnp.float32
    assert squared_error(state.agents.params, made) < 1e-4


@pytest.mark.slow
def test_jit_is_eager_and_seeds_vmapped_are_a_loop(key):
    graph = topology.star(4)
    made, samples, _, state = setting(graph)
    algorithm = learning.dadao(
        convex.gradient("least_squares"), graph, smoothness=made.smoothness,
        convexity=made.convexity, events_per_step=3,
    )  # fmt: skip
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)  # noqa: E731
    step = jax.jit(algorithm.step)
    jitted, _ = step(key, state, samples)
    eager, _ = algorithm.step(key, state, samples)
    jax.tree.map(close, jitted, eager)
    keys = jax.random.split(key, 2)
    many, _ = jax.vmap(step, (0, None, None))(keys, state, samples)
    for s in range(2):
        one, _ = step(keys[s], state, samples)
        jax.tree.map(lambda a, b, s=s: close(a[s], b), many, one)


def test_an_event_changes_only_its_agents_and_a_skipped_one_none():
    graph = topology.ring(5)
    made, samples, _, state = setting(graph)
    c = constants(made.smoothness, made.convexity, *spectra.chi(graph))
    process = learning.dadao_process(convex.gradient("least_squares"), c)
    step = jax.jit(process.step)
    for kind, ids, touched in ((0, (3, 5), {3}), (1, (1, 2), {1, 2}), (-1, (1, 2), set())):
        event = Events(jnp.asarray(0.7), jnp.asarray(ids), jnp.asarray(kind))
        after = step(jax.random.key(0), state, event, samples)
        changed = {i for i in range(5) if float(after.clock[i]) > 0}
        assert changed == touched
        for leaf, old in zip(after.agents, state.agents, strict=True):
            still = [i for i in range(5) if i not in touched]
            np.testing.assert_array_equal(leaf[jnp.asarray(still)], old[jnp.asarray(still)])


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_converges_on_graphs_that_switch(key):
    """With the constants of the worst member, ``1/χ₁`` each."""
    sequence = topology.stack([topology.path(5), topology.star(5), topology.ring(5)])
    made = convex.heterogeneous(5, condition=6.0)
    samples = jax.tree.map(jnp.asarray, made.samples)
    algorithm = learning.dadao(
        convex.gradient("least_squares"), sequence, smoothness=6.0, convexity=1.0,
        events_per_step=1000,
    )  # fmt: skip
    state = algorithm.init(jnp.ones((5, 5)))
    state, _ = simulate(algorithm.step, state, 12, key=key, inputs=samples, progress=False)
    assert squared_error(state.agents.params, made) < 1e-6
    # As many exchanges as the worst member needs, however many candidates were thinned out.
    chi1, chi2 = np.max(spectra.chi(sequence), axis=1)
    expected = (2 * chi1 * chi2) ** 0.5 * float(state.time)
    assert abs(int(state.counts[1]) - expected) < 5 * expected**0.5
    assert abs(int(state.counts[GRADIENT]) - 5 * float(state.time)) < 5 * (5 * state.time) ** 0.5


def test_one_compilation(key):
    _, samples, algorithm, state = setting(topology.ring(4))
    traces = []

    @jax.jit
    def step(key, state, samples):
        traces.append(1)
        return algorithm.step(key, state, samples)

    for r in range(3):
        state, _ = step(jax.random.fold_in(key, r), state, samples)
    assert len(traces) == 1


@pytest.mark.slow
def test_the_example_of_the_package_runs_and_finds_the_optimum(capsys):
    text = inspect.getdoc(asynchronous).split("::\n")[1].split("The constants are")[0]
    names = {}
    exec(textwrap.dedent(text), names)
    printed = np.array(capsys.readouterr().out.strip(" []\n").split(), float)
    # The gradient of the sum vanishes where the agents agree.
    gradient = 2.0 * (printed - np.asarray(names["data"]).mean(axis=0)) + 1 / (1 + np.exp(-printed))
    np.testing.assert_allclose(gradient, 0.0, atol=5e-3)
