"""DADAO: exact drift, Lyapunov decrease in mean square, invariants, rates; its event streams."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import kstest

from jaxswarm import learning, topology
from jaxswarm.learning.asynchronous import convex, events
from jaxswarm.simulate import simulate
from jaxswarm.topology import spectra

module = importlib.import_module("jaxswarm.learning.asynchronous.dadao")  # the function has the same name
DadaoAgent, constants, drift = module.DadaoAgent, module.constants, module.drift


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


def mean_square_exponent(graph, condition, **options):
    """Largest growth rate of ``E[e eᵀ]``, hence of the best quadratic Lyapunov function, exactly.

    One parameter per agent, ``f_i = h_i x²/2`` with the extreme curvatures mixed.
    """
    n = graph.num_agents
    curvature = np.where(np.arange(n) % 2, condition, 1.0)
    c = constants(condition, 1.0, *(float(v) for v in spectra.chi(graph)), **options)
    process = learning.dadao_process(lambda x, h: h * x, c)
    size = 6 * n

    def jump(kind, ids):
        event = events.Events(jnp.zeros(()), jnp.asarray(ids, jnp.int32), jnp.asarray(kind))

        def apply(vector):
            rows = DadaoAgent(*vector.reshape(6, n))
            out = process.step(jax.random.key(0), process.init(rows), event, jnp.asarray(curvature))
            return jnp.stack(out.agents).ravel()

        return np.asarray(jax.jacobian(apply)(jnp.zeros(size)))

    jumps = [(float(c.gradient_rate), jump(0, (i, n))) for i in range(n)]
    pairs = events.undirected_slots(graph)[1]
    jumps += [(float(c.gossip_rate) / len(pairs), jump(1, pair)) for pair in pairs]
    flow = np.kron(system(c), np.eye(n))
    # Σz = Σz̃ = 0 throughout: look at that subspace only.
    zero_sum = np.linalg.svd(np.ones((1, n)))[2][1:].T
    parts = [np.eye(n)] * 4 + [zero_sum] * 2
    basis = np.zeros((size, sum(p.shape[1] for p in parts)))
    column = 0
    for row, part in enumerate(parts):
        basis[row * n : (row + 1) * n, column : column + part.shape[1]] = part
        column += part.shape[1]
    inside = lambda m: basis.T @ m @ basis  # noqa: E731
    identity = np.eye(basis.shape[1])
    generator = np.kron(inside(flow), identity) + np.kron(identity, inside(flow))
    for rate, matrix in jumps:
        generator += rate * (np.kron(inside(matrix), inside(matrix)) - np.kron(identity, identity))
    return np.linalg.eigvals(generator).real.max(), float(c.rate)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "graph", [topology.path(3), topology.complete(3)], ids=lambda graph: graph.name
)
@pytest.mark.parametrize("condition", [2.0, 30.0])
def test_a_lyapunov_function_decreases_in_expectation_at_the_promised_rate(graph, condition):
    exponent, promised = mean_square_exponent(graph, condition)
    assert exponent <= -promised


@pytest.mark.usefixtures("x64")
def test_more_of_either_process_keeps_the_promise():
    graph = topology.path(3)
    chi1, chi2 = spectra.chi(graph)
    for options in ({"gossip_rate": 3 * (2 * chi1 * chi2) ** 0.5}, {"gradient_rate": 3.0}):
        exponent, promised = mean_square_exponent(graph, 10.0, **options)
        assert exponent <= -promised


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


def test_jit_is_eager_and_seeds_vmapped_are_a_loop(key):
    graph = topology.star(4)
    made, samples, _, state = setting(graph)
    algorithm = learning.dadao(
        convex.gradient("least_squares"), graph, smoothness=made.smoothness,
        convexity=made.convexity, events_per_step=6,
    )  # fmt: skip
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)  # noqa: E731
    step = jax.jit(algorithm.step)
    jitted, _ = step(key, state, samples)
    with jax.disable_jit():
        eager, _ = algorithm.step(key, state, samples)
    jax.tree.map(close, jitted, eager)
    keys = jax.random.split(key, 3)
    many, _ = jax.vmap(step, (0, None, None))(keys, state, samples)
    for s in range(3):
        one, _ = step(keys[s], state, samples)
        jax.tree.map(lambda a, b, s=s: close(a[s], b), many, one)


def test_an_event_touches_only_its_agents_and_skipped_ones_nobody():
    graph = topology.ring(5)
    made, samples, _, state = setting(graph)
    c = constants(made.smoothness, made.convexity, *spectra.chi(graph))
    process = learning.dadao_process(convex.gradient("least_squares"), c)
    for kind, ids, touched in ((0, (3, 5), {3}), (1, (1, 2), {1, 2}), (-1, (1, 2), set())):
        event = events.Events(jnp.asarray(0.7), jnp.asarray(ids), jnp.asarray(kind))
        after = process.step(jax.random.key(0), state, event, samples)
        changed = {i for i in range(5) if float(after.clock[i]) > 0}
        assert changed == touched
        for leaf, old in zip(after.agents, state.agents, strict=True):
            still = [i for i in range(5) if i not in touched]
            np.testing.assert_array_equal(leaf[jnp.asarray(still)], old[jnp.asarray(still)])


# Event streams ------------------------------------------------------------------------------------


def test_superposed_clocks_ring_like_independent_poisson_processes(key):
    graph = topology.star(5)
    rates = jnp.where(jnp.asarray(graph.senders) + jnp.asarray(graph.receivers) > 2, 2.0, 0.5)
    ringing = events.superpose(events.agent_clocks(5, 3.0), events.edge_clocks(graph, rates))
    total = float(ringing.rates.sum())
    count = 40_000
    stream = events.poisson_events(key, ringing, count, start=5.0)
    time = np.asarray(stream.time, np.float64)
    assert time[0] >= 5.0
    assert np.all(np.diff(time) >= 0)
    with jax.enable_x64(True):
        exact = jax.tree.map(np.asarray, events.poisson_events(key, ringing, count))
    waits = np.diff(exact.time, prepend=0.0)
    assert kstest(waits * total, "expon").pvalue > 1e-3
    codes = np.asarray(stream.agents[:, 0]) * 10 + np.asarray(stream.agents[:, 1])
    expected = np.asarray(ringing.rates) / total
    for pair, share in zip(np.asarray(ringing.agents), expected, strict=True):
        seen = np.mean(codes == pair[0] * 10 + pair[1])
        assert abs(seen - share) < 5 * (share * (1 - share) / count) ** 0.5
    # Counts in disjoint windows have variance = mean, and the two kinds do not move together.
    edges = np.arange(0.0, exact.time[-1], 1.0)
    kinds = [np.histogram(exact.time[exact.kind == k], edges)[0] for k in (0, 1)]
    for counted in kinds:
        assert 0.85 < counted.var() / counted.mean() < 1.15
    assert abs(np.corrcoef(kinds)[0, 1]) < 0.1


def test_thinning_follows_the_graph_that_is_there(key):
    sequence = topology.stack([topology.path(4), topology.star(4)])
    ringing, intensity = events.switching_edge_clocks(sequence, 10.0, total=6.0)
    stream = events.poisson_events(key, ringing, 20_000, intensity=intensity)
    time, kept = np.asarray(stream.time), np.asarray(stream.kind) == 1
    member = (time // 10.0).astype(int) % 2
    pairs = {tuple(p) for p in np.asarray(stream.agents)[kept & (member == 0)]}
    assert pairs == {(0, 1), (1, 2), (2, 3)}
    pairs = {tuple(p) for p in np.asarray(stream.agents)[kept & (member == 1)]}
    assert pairs == {(0, 1), (0, 2), (0, 3)}
    expected = 6.0 * time[-1]
    assert abs(kept.sum() - expected) < 5 * expected**0.5


def test_doubling_one_process_leaves_the_other_alone(key):
    graph = topology.ring(6)
    for gradient_rate, total in ((1.0, 8.0), (1.0, 16.0), (2.0, 8.0)):
        ringing = events.superpose(
            events.agent_clocks(6, gradient_rate), events.edge_clocks(graph, total=total)
        )
        stream = events.poisson_events(key, ringing, 30_000)
        span = float(stream.time[-1])
        for kind, rate in ((0, 6 * gradient_rate), (1, total)):
            counted = int((stream.kind == kind).sum())
            assert abs(counted - rate * span) < 5 * (rate * span) ** 0.5


# Baselines ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("graph", [topology.star(5), topology.complete(4)], ids=lambda g: g.name)
def test_baselines_converge_to_the_same_optimum(graph):
    made = convex.heterogeneous(graph.num_agents, condition=8.0)
    options = {"smoothness": made.smoothness, "convexity": made.convexity}
    gradient = convex.gradient("least_squares")
    dual_gradient = learning.quadratic_dual_gradient(convex.quadratic)
    samples = jax.tree.map(jnp.asarray, made.samples)
    begin = jnp.zeros((graph.num_agents, 5))
    for algorithm, steps in (
        (learning.adom_plus(gradient, graph, **options), 4000),
        (learning.adom_plus(gradient, graph, **options, multi_consensus=True), 1500),
        (learning.msda(dual_gradient, graph, **options), 200),
    ):
        step = lambda state, _, a=algorithm: a.step(None, state, samples)  # noqa: E731
        state, costs = jax.lax.scan(step, algorithm.init(begin), length=steps)
        assert squared_error(state.params, made) < 1e-9
        assert int(costs.gradients[-1]) == steps * graph.num_agents
    dual = importlib.import_module("jaxswarm.learning.asynchronous.dual")
    chi1, chi2 = spectra.chi(graph)
    process = learning.continuized(dual_gradient, **options, chi1=chi1, chi2=chi2)
    state = process.init(dual.ContinuizedAgent(begin, begin))
    stream = events.poisson_events(jax.random.key(1), dual.continuized_clocks(graph), 3000)
    state, _ = process.run(jax.random.key(2), state, stream, samples, every=3000)
    duals = process.at(state).dual
    np.testing.assert_allclose(duals.sum(axis=0), 0.0, atol=1e-10)
    assert squared_error(jax.vmap(dual_gradient)(duals, samples), made) < 1e-9


@pytest.mark.usefixtures("x64")
def test_logistic_optimum_has_no_gradient():
    made = convex.heterogeneous(7, condition=12.0, task="logistic", seed=3)
    slope = convex.gradient("logistic", made.ridge)
    total = jax.vmap(slope, (None, 0))(jnp.asarray(made.optimum), made.samples).sum(axis=0)
    np.testing.assert_allclose(total, 0.0, atol=1e-10)
    assert (made.smoothness, made.convexity) == (pytest.approx(12.0), 1.0)


# Bad input ----------------------------------------------------------------------------------------


def test_bad_constants_and_graphs_are_refused():
    gradient = convex.gradient("least_squares")
    good = {"smoothness": 4.0, "convexity": 1.0}
    for wrong, match in (
        ({"convexity": 0.0}, "convexity: expected positive"),
        ({"convexity": -1.0}, "convexity: expected positive"),
        ({"smoothness": 0.5}, "smoothness: expected at least"),
        ({"smoothness": np.inf}, "smoothness: expected finite"),
    ):
        for factory in (learning.dadao, learning.adom_plus, learning.msda):
            with pytest.raises(ValueError, match=match):
                factory(gradient, topology.ring(4), **(good | wrong))
    split = topology.from_edges([(0, 1), (2, 3)], 4)
    directed = topology.directed_ring(4)
    for factory in (learning.dadao, learning.adom_plus, learning.msda):
        with pytest.raises(ValueError, match="connected"):
            factory(gradient, split, **good)
        with pytest.raises(ValueError, match=r"opposite|undirected|direct"):
            factory(gradient, directed, **good)
    with pytest.raises(ValueError, match="chi1"):
        constants(4.0, 1.0, np.inf, 1.0)
    with pytest.raises(ValueError, match="gossip_rate"):
        learning.dadao(gradient, topology.ring(4), **good, gossip_rate=0.1)
    with pytest.raises(ValueError, match="gradient_rate"):
        constants(4.0, 1.0, 3.0, 1.0, gradient_rate=0.5)


def test_bad_events_are_refused(key):
    with pytest.raises(ValueError, match="rate"):
        events.agent_clocks(3, 0.0)
    with pytest.raises(ValueError, match="total"):
        events.edge_clocks(topology.ring(4), total=-1.0)
    with pytest.raises(ValueError, match="rates: expected non-negative"):
        events.edge_clocks(topology.ring(4), -np.ones(8))
    with pytest.raises(ValueError, match="rates: expected shape"):
        events.edge_clocks(topology.ring(4), np.ones(4))
    with pytest.raises(ValueError, match="connected"):
        events.switching_edge_clocks(
            topology.stack([topology.ring(4), topology.from_edges([(0, 1), (2, 3)], 4)]),
            1.0,
            total=1.0,
        )
    with pytest.raises(ValueError, match=r"opposite|undirected|direct"):
        events.switching_edge_clocks(topology.stack([topology.directed_ring(4)]), 1.0, total=1.0)
    process = events.point_process(lambda s, t: s, [lambda key, pair, ids, inputs: pair])
    state = process.init(jnp.zeros(3))
    stream = events.poisson_events(key, events.agent_clocks(3), 4)
    with pytest.raises(ValueError, match="never fall"):
        process.run(key, state, jax.tree.map(lambda x: x[::-1], stream))
    with pytest.raises(ValueError, match="divisor"):
        process.run(key, state, stream, every=3)


def test_problems_that_are_not_strongly_convex_are_refused():
    features = np.random.default_rng(0).normal(size=(3, 4, 5))  # fewer samples than features
    samples = convex.Samples(features, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="strongly convex"):
        convex.problem(samples)
    with pytest.raises(ValueError, match="strongly convex"):
        convex.problem(samples, task="logistic")
    assert convex.problem(samples, ridge=0.5).convexity == pytest.approx(0.5)
    with pytest.raises(ValueError, match="condition"):
        convex.heterogeneous(3, condition=0.5)
