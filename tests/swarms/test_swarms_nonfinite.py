"""A NaN is nowhere: in every model, every order parameter and both neighbour searches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import collective, gossip, space, swarms, topology

BOX = space.Space((5.0, 5.0))
OPEN = space.Space((5.0, 5.0), "open")
N, LOST = 14, 4
REST = np.delete(np.arange(N), LOST)
NEAR = np.arange(LOST - 4, LOST + 5) % N  # Runge-Kutta evaluates neighbours four times
ABSENT = jnp.arange(N) != LOST
RING = gossip.mixing(topology.ring(N), layout="gather")
DISC = space.search(BOX, 1.5, N)

MODELS = {
    "vicsek": swarms.vicsek(BOX, N, speed=0.3),
    "vicsek by strips": swarms.vicsek(BOX, N, speed=0.3, method="strips"),
    "boids": swarms.boids(BOX, N),
    "cucker_smale": swarms.cucker_smale(BOX, N, radius=2.0),
    "couzin": swarms.couzin(OPEN, N, attraction=4.0, radius=4.0),
    "aggregation": swarms.aggregation(OPEN, N),
    "kuramoto": swarms.kuramoto(None, N, coupling=2.0),
    "kuramoto on a ring": swarms.kuramoto(None, N, among=RING, coupling=2.0),
    "kuramoto in a disc": swarms.kuramoto(BOX, N, radius=1.5, coupling=2.0),
}
STEPS = {name: jax.jit(model.step) for name, model in MODELS.items()}
LEAVES = [
    (name, leaf)
    for name, model in MODELS.items()
    for leaf, value in jax.eval_shape(model.init, jax.random.key(0))._asdict().items()
    if value is not None and value.dtype != bool
]
BADS = {"nan": jnp.nan, "inf": jnp.inf}


def test_every_model_is_tried():
    made = {name for name in swarms.__all__ if hasattr(getattr(swarms, name), "__code__")}
    measures = {*ORDERS, "largest_cluster", "swarm_radius"}
    assert {name.split(" ")[0] for name in MODELS} | measures == made


@pytest.mark.parametrize(("name", "leaf"), LEAVES)
def test_a_living_nan_is_counted_and_reaches_at_most_its_neighbors(name, leaf):
    model = MODELS[name]
    state = jax.jit(model.init)(jax.random.key(0))
    step = STEPS[name]
    for bad in BADS.values():
        lost = state._replace(**{leaf: getattr(state, leaf).at[LOST].set(bad)})
        after, info = step(jax.random.key(1), lost)
        assert int(info.nonfinite) >= 1
        reached = {"kuramoto": REST, "kuramoto on a ring": NEAR}.get(name, [])
        for part, value in after._asdict().items():
            if value is not None:
                safe = np.setdiff1d(REST, reached)
                assert np.isfinite(np.asarray(value, np.float64)[safe]).all(), part
        if leaf not in ("positions", "frequencies") or name == "aggregation":
            measured = [x for key, x in info._asdict().items() if key in ORDER_INFO]
            assert np.isnan(measured).all()


ORDER_INFO = ("polarization", "order", "radius")


@pytest.mark.parametrize(("name", "leaf"), LEAVES)
def test_an_absent_nan_has_no_influence(name, leaf):
    model = MODELS[name]
    state = model.init(jax.random.key(0), ABSENT)
    step = STEPS[name]
    want, expected = step(jax.random.key(1), state)
    for bad in BADS.values():
        lost = state._replace(**{leaf: getattr(state, leaf).at[LOST].set(bad)})
        after, info = step(jax.random.key(1), lost)
        assert int(info.nonfinite) == 0
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[REST], b[REST]), after, want)
        jax.tree.map(np.testing.assert_array_equal, info, expected)


ORDERS = {
    "polarization": lambda at, way, active: swarms.polarization(way, active),
    "phase_order": lambda at, way, active: swarms.phase_order(way[:, 0], active),
    "milling": lambda at, way, active: swarms.milling(at, way, active),
    "mean_pair_distance": lambda at, way, active: swarms.mean_pair_distance(BOX, at, active),
    "nearest_distance": lambda at, way, active: swarms.nearest_distance(DISC, at, active),
    "clusters": lambda at, way, active: swarms.clusters(DISC, at, active),
}


def scene():
    rng = np.random.default_rng(0)
    at = jnp.asarray(rng.uniform(0, 5, (N, 2)), jnp.float32)
    return at, jnp.asarray(rng.normal(size=(N, 2)), jnp.float32)


@pytest.mark.parametrize("name", ORDERS)
def test_order_parameters_leave_absent_agents_out_and_are_nan_with_a_living_nan(name):
    at, way = scene()
    forms = ORDERS[name], jax.jit(ORDERS[name])
    wants = [np.asarray(form(at, way, ABSENT)) for form in forms]
    np.testing.assert_allclose(*wants, rtol=1e-6)
    for bad in BADS.values():
        lost = at.at[LOST, 0].set(bad), way.at[LOST, 0].set(bad)
        for form, want in zip(forms, wants, strict=True):
            got = form(*lost, ABSENT)
            if want.ndim:
                np.testing.assert_array_equal(np.asarray(got)[REST], want[REST])
            else:
                np.testing.assert_array_equal(got, want)
        living = np.asarray(ORDERS[name](*lost, None))
        if not living.ndim:
            assert np.isnan(living)
        elif name == "clusters":
            assert living[LOST] == -1
            np.testing.assert_array_equal(living[REST], wants[0][REST])
        else:
            assert np.isnan(living[LOST])
            np.testing.assert_array_equal(living[REST], wants[0][REST])


DISTANCES = {
    "length": lambda x: space.length(x)[LOST],
    "distance": lambda x: BOX.distance(x, jnp.ones(2)[None, :])[LOST],
    "displacement": lambda x: BOX.displacement(x, jnp.ones(2)[None, :])[LOST, 0],
    "wrap": lambda x: BOX.wrap(x)[LOST, 0],
    "reflect": lambda x: space.Space((5.0, 5.0), "reflecting").wrap(x)[LOST, 0],
    "mean_distance": collective.mean_distance,
    "mean_distance by blocks": lambda x: collective.mean_distance(x, block=4),
    "mean_phase_distance": lambda x: collective.mean_phase_distance(x[:, 0]),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_nan_is_at_no_distance(name):
    at, _ = scene()
    assert bool(jnp.isfinite(DISTANCES[name](at)))
    assert bool(jnp.isnan(DISTANCES[name](at.at[LOST, 0].set(jnp.nan))))


TASKS = {
    "aggregation": collective.aggregation_task(N),
    "kuramoto": collective.kuramoto_task(N),
    "vicsek": collective.vicsek_task(N),
    **{
        f"vicsek on {name}": collective.vicsek_task(N, domain=collective.Domain(name, 1.0))
        for name in ("box", "moebius", "klein", "projective")
    },
}


@pytest.mark.parametrize("name", TASKS)
def test_a_nan_agent_of_a_task_has_no_neighbor_and_no_reward(name):
    task = TASKS[name]
    key = jax.random.key(0)
    state = task.init(key, task.params)
    lost = jax.tree.map(lambda x: x.at[LOST].set(jnp.nan), state)
    seen = np.asarray(jax.jit(task.observe)(key, task.params, lost))
    assert np.isfinite(seen[REST]).all()
    assert np.isnan(seen[LOST]).any()
    actions = jnp.zeros((N, len(task.action_bounds[0])))
    assert np.isnan(task.reward(task.params, lost, actions))
    for field in (collective.histogram(task, bins=3), collective.kernel_features(task, points=3)):
        assert np.isfinite(field.of(state)).all()
        assert np.isnan(field.of(lost)).all()
    for rule in (collective.kernel_rule(task, points=3), collective.histogram_rule(task, points=3)):
        params = jnp.zeros(rule.num_params)
        acted = collective.act_by_rule(key, rule, params, jnp.asarray(seen))
        assert np.isfinite(acted[REST]).all()
        assert np.isnan(acted[LOST]).any()
