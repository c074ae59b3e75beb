"""Baselines of DADAO, the test problems, and constants that are refused."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import learning, topology
from jaxswarm.learning.asynchronous import convex, dual, gossip_matrix, poisson_events
from jaxswarm.learning.asynchronous.constants import constants
from jaxswarm.topology import spectra


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def squared_error(params, made):
    return float(((np.asarray(params) - made.optimum) ** 2).sum(-1).mean())


GRAPHS = (topology.star(5), topology.complete(5), topology.path(5))
LEAST_SQUARES = convex.gradient("least_squares")
DUAL = learning.quadratic_dual_gradient(convex.quadratic)
OPTIONS = {"smoothness": 8.0, "convexity": 1.0}


@partial(jax.jit, static_argnames=("method", "steps"))
def run(network, samples, *, method, steps):
    if method == "msda":
        algorithm = learning.msda(DUAL, network, **OPTIONS)
    else:
        algorithm = learning.adom_plus(LEAST_SQUARES, network, **OPTIONS)
    step = lambda state, _: algorithm.step(None, state, samples)  # noqa: E731
    return jax.lax.scan(step, algorithm.init(jnp.zeros((5, 5))), length=steps)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
@pytest.mark.parametrize(
    ("method", "rounds", "steps"),
    [
        ("adom+", lambda chi: 1, 6000),
        ("adom+ multi-consensus", lambda chi: max(1, math.ceil(chi * math.log(2) - 1e-9)), 1500),
        ("msda", lambda chi: max(1, math.floor(chi**0.5 + 1e-9)), 200),
    ],
)
def test_synchronous_methods_converge_to_the_optimum_of_the_sum(graph, method, rounds, steps):
    made = convex.heterogeneous(5, condition=8.0)
    network = gossip_matrix(graph, multi_consensus=method.endswith("consensus"))
    samples = jax.tree.map(jnp.asarray, made.samples)
    state, costs = run(network, samples, method=method[:4], steps=steps)
    assert squared_error(state.params, made) < 1e-9
    assert int(costs.gradients[-1]) == steps * 5
    low, high = spectra.laplacian_extremes(graph)
    num_edges = graph.num_edge_slots // 2
    assert int(costs.edge_uses[-1]) == steps * num_edges * rounds(high / low)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", ["adom+", "msda"])
def test_a_topology_is_its_gossip_matrix(method):
    graph = topology.path(4)
    made = convex.heterogeneous(4, condition=8.0)
    samples = jax.tree.map(jnp.asarray, made.samples)
    factory, gradient = {
        "adom+": (learning.adom_plus, LEAST_SQUARES),
        "msda": (learning.msda, DUAL),
    }[method]
    states = []
    for network in (graph, gossip_matrix(graph)):
        algorithm = factory(gradient, network, **OPTIONS)
        state = algorithm.init(jnp.ones((4, 5)))
        for _ in range(2):
            state, _ = algorithm.step(None, state, samples)
        states.append(state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), *states)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_continuized_converges_and_its_duals_stay_balanced():
    graph = topology.star(5)
    made = convex.heterogeneous(5, condition=8.0)
    samples = jax.tree.map(jnp.asarray, made.samples)
    begin = jnp.zeros((5, 5))
    chi1, chi2 = spectra.chi(graph)
    process = learning.continuized(DUAL, **OPTIONS, chi1=chi1, chi2=chi2)
    state = process.init(dual.ContinuizedAgent(begin, begin))
    stream = poisson_events(jax.random.key(1), dual.continuized_clocks(graph), 4000)
    state, _ = process.run(jax.random.key(2), state, stream, samples, every=4000)
    duals = process.at(state).dual
    np.testing.assert_allclose(duals.sum(axis=0), 0.0, atol=1e-10)
    assert squared_error(jax.vmap(DUAL)(duals, samples), made) < 1e-9


@pytest.mark.usefixtures("x64")
def test_logistic_optimum_has_no_gradient():
    made = convex.heterogeneous(7, condition=12.0, task="logistic", seed=3)
    gradient = convex.gradient("logistic", made.ridge)
    total = jax.vmap(gradient, (None, 0))(jnp.asarray(made.optimum), made.samples).sum(axis=0)
    np.testing.assert_allclose(total, 0.0, atol=1e-10)
    assert (made.smoothness, made.convexity) == (pytest.approx(12.0), 1.0)


def test_bad_constants_and_graphs_are_refused():
    gradient = convex.gradient("least_squares")
    good = {"smoothness": 4.0, "convexity": 1.0}
    for wrong, match in (
        ({"convexity": 0.0}, "convexity: expected finite numbers > 0"),
        ({"convexity": -1.0}, "convexity: expected finite numbers > 0"),
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
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="gossip_rate"):
            learning.dadao(gradient, topology.ring(4), **good, gossip_rate=wrong)
        with pytest.raises(ValueError, match="gradient_rate"):
            constants(4.0, 1.0, 3.0, 1.0, gradient_rate=wrong)
    with pytest.raises(ValueError, match="chi2"):
        constants(4.0, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="at least 2 agents"):
        learning.dadao(gradient, topology.path(1), **good)
    sequence = topology.stack([topology.ring(4), topology.path(4)])
    with pytest.raises(ValueError, match="rates: expected None"):
        learning.dadao(gradient, sequence, **good, rates=np.ones(8))
    with pytest.raises(ValueError, match="period: expected None"):
        learning.dadao(gradient, topology.ring(4), **good, period=1.0)
    for member, match in ((split, "connected"), (directed, "opposite|undirected|direct")):
        with pytest.raises(ValueError, match=match):
            learning.dadao(gradient, topology.stack([topology.ring(4), member]), **good)
    with pytest.raises(ValueError, match="params"):
        learning.dadao(gradient, topology.ring(4), **good).init(jnp.zeros((3, 5)))
    with pytest.raises(ValueError, match="gradient_rate"):
        constants(4.0, 1.0, 3.0, 1.0, gradient_rate=0.5)


def test_problems_that_are_not_strongly_convex_are_refused():
    features = np.random.default_rng(0).normal(size=(3, 4, 5))  # fewer samples than features
    samples = convex.Samples(features, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="strongly convex"):
        convex.problem(samples)
    with pytest.raises(ValueError, match="strongly convex"):
        convex.problem(samples._replace(targets=np.ones((3, 4))), task="logistic")
    assert convex.problem(samples, ridge=0.5).convexity == pytest.approx(0.5)
    with pytest.raises(ValueError, match="condition"):
        convex.heterogeneous(3, condition=0.5)
    samples = convex.Samples(features, np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match=r"samples\.targets: expected finite"):
        convex.problem(samples, ridge=1.0)
    with pytest.raises(ValueError, match="labels -1 and 1"):
        convex.problem(convex.Samples(features, np.zeros((3, 4))), task="logistic", ridge=1.0)
    with pytest.raises(ValueError, match="samples: expected features"):
        convex.problem(convex.Samples(features, np.zeros((3, 5))), ridge=1.0)
    with pytest.raises(ValueError, match="ridge"):
        convex.problem(convex.Samples(features, np.zeros((3, 4))), ridge=-1.0)
    with pytest.raises(ValueError, match="task"):
        convex.gradient("hinge")
