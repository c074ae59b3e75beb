"""Models of collective motion: a slow numpy step, properties of all, known results of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import swarm_oracles as oracles

from jaxswarm import gossip, rollout, space, swarms, topology
from tests.tracing import Counted

BOX = space.Space((5.0, 5.0))
OPEN = space.Space((5.0, 5.0), "open")
N = 14
NOISELESS = {"repulsion": 1.0, "orientation": 2.0, "attraction": 4.0, "noise": 0.0}
RING = gossip.mixing(topology.ring(N))

MODELS = {
    "vicsek": swarms.vicsek(BOX, N, speed=0.3, noise=0.0),
    "boids": swarms.boids(BOX, N),
    "cucker-smale": swarms.cucker_smale(BOX, N, radius=2.0),
    "couzin": swarms.couzin(OPEN, N, radius=4.0, **NOISELESS),
    "aggregation": swarms.aggregation(OPEN, N),
    "kuramoto": swarms.kuramoto(None, N, coupling=2.0),
    "kuramoto on a ring": swarms.kuramoto(None, N, among=RING, coupling=2.0),
    "kuramoto in a disc": swarms.kuramoto(BOX, N, radius=1.5, coupling=2.0),
}
ABSENT = np.arange(N) == 4


def started(name, active=None, seed=0):
    return MODELS[name].init(jax.random.key(seed), active)


def host(state):
    return jax.tree.map(lambda x: np.asarray(x, np.float64 if x.dtype != bool else bool), state)


def expected(name, state, p):
    dt = 0.1
    if name == "vicsek":
        return dict(zip(("positions", "angles"), oracles.vicsek(BOX, state, p), strict=True))
    if name == "aggregation":
        return {"positions": oracles.aggregation(state, p, 0.2 / (N * 21.0))}
    if name.startswith("kuramoto"):
        weights = np.full((N, N), 1.0 / state.active.sum()) * state.active[None, :]
        if name == "kuramoto on a ring":
            weights = np.asarray(gossip.mix(RING, jnp.eye(N))) * state.active[None, :]
        if name == "kuramoto in a disc":
            gap = oracles.offset(BOX, state.positions[:, None], state.positions[None])
            near = (np.linalg.norm(gap, axis=-1) <= 1.5) & ~np.eye(N, dtype=bool)
            near &= state.active[None, :] & state.active[:, None]
            weights = near / np.maximum(near.sum(axis=1, keepdims=True), 1)

        def slope(phases):
            return oracles.kuramoto_slope(phases, state.frequencies, weights, p.coupling)

        phases = np.mod(oracles.runge_kutta(slope, state.phases, 0.05), 2 * np.pi)
        return {"phases": np.where(state.active, phases, state.phases)}
    steps = {
        "boids": lambda: oracles.boids(BOX, state, p, 1.0, 1.0),
        "cucker-smale": lambda: oracles.cucker_smale(BOX, state, p, 2.0, dt),
        "couzin": lambda: oracles.couzin(OPEN, state, p, dt),
    }
    return dict(zip(("positions", "velocities"), steps[name](), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_a_step_equals_numpy_and_inactive_agents_have_no_effect(name, key):
    model = MODELS[name]
    step = Counted(model.step)
    for active in (None, ~ABSENT):
        state = started(name, active)
        after, _ = step(key, state)
        p = jax.tree.map(float, model.parameters)
        for field, want in expected(name, host(state), p).items():
            got = np.asarray(getattr(after, field))
            if field in ("angles", "phases"):
                got, want = np.exp(1j * got), np.exp(1j * want)
            keep = np.ones(N, bool) if active is None else active
            np.testing.assert_allclose(got[keep], want[keep], atol=2e-4, err_msg=field)
        if active is not None:
            for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
                np.testing.assert_array_equal(before[4], now[4])
    assert step.traces == 1


@pytest.mark.parametrize("name", MODELS)
def test_permuting_agents_permutes_the_outcome(name, key):
    if name == "kuramoto on a ring":
        pytest.skip("agents have places in a graph")
    order = np.roll(np.arange(N), 3)
    step = jax.jit(MODELS[name].step)
    state = started(name, ~ABSENT)
    renamed = jax.tree.map(lambda x: x[order], state)
    one, two = step(key, state)[0], step(key, renamed)[0]
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a[order], b, atol=1e-4)


@pytest.mark.parametrize("name", ["vicsek", "boids", "cucker-smale", "couzin", "aggregation"])
def test_an_agent_at_nan_is_counted_and_affects_no_other(name, key):
    step = jax.jit(MODELS[name].step)
    state = started(name)
    lost = state._replace(positions=state.positions.at[4].set(jnp.nan))
    gone = state._replace(active=jnp.asarray(~ABSENT))
    (after, info), (without, _) = step(key, lost), step(key, gone)
    assert int(info.nonfinite) == 1
    if name != "cucker-smale":  # which divides by how many take part
        np.testing.assert_allclose(
            np.delete(after.positions, 4, 0), np.delete(without.positions, 4, 0), atol=1e-5
        )
    assert np.isfinite(np.delete(after.positions, 4, 0)).all()


def test_parameters_are_traced(key):
    model = MODELS["couzin"]
    step = Counted(model.step)
    for zone in (1.5, 2.5):
        step(key, started("couzin"), model.parameters._replace(orientation=zone))
    assert step.traces == 1
    one = model.step(key, started("couzin"))[0]
    two = jax.jit(model.step)(key, started("couzin"))[0]
    np.testing.assert_allclose(one.velocities, two.velocities, atol=1e-4)


def run(model, rounds, parameters=None, seed=0):
    first, second = jax.random.split(jax.random.key(seed))
    return jax.jit(lambda p: rollout(model.step, model.init(first), rounds, key=second, inputs=p))(
        parameters
    )


def test_vicsek_orders_at_low_noise_and_not_at_high():
    model = swarms.vicsek(BOX, 100)
    noise = jnp.array([0.3, 6.0])
    p = swarms.VicsekParams(jnp.full(2, 0.1), noise, jnp.ones(2))
    _, records = jax.vmap(lambda p: run(model, 300, p))(p)
    low, high = np.asarray(records.info.polarization)[:, -100:].mean(axis=1)
    assert low > 0.9
    assert high < 0.3


@pytest.mark.slow
def test_vicsek_transition_with_noise_sharpens_with_size():
    """At one density disorder is reached at large noise, and the larger swarm is less ordered."""
    noise = jnp.linspace(0.5, 6.0, 12)
    order = {}
    for n in (100, 900):
        box = space.Space((np.sqrt(n / 4.0),) * 2)
        model = swarms.vicsek(box, n)
        p = swarms.VicsekParams(jnp.full(12, 0.1), noise, jnp.ones(12))
        _, records = jax.vmap(lambda p, model=model: run(model, 1500, p))(p)
        order[n] = np.asarray(records.info.polarization)[:, -700:].mean(axis=1)
        assert (np.diff(order[n]) < 0.05).all()
        assert order[n][0] > 0.9
    assert order[900][-1] < order[100][-1] < 0.3


@pytest.mark.slow
def test_kuramoto_critical_coupling_for_lorentzian_frequencies():
    """``K_c = 2 / (π g(0)) = 2γ = 1``; beyond it ``r = √(1 − K_c / K)``."""

    def lorentzian(key):
        return 0.5 * jax.random.cauchy(key)

    model = swarms.kuramoto(None, 2000, frequencies=lorentzian)
    couplings = jnp.array([0.5, 1.5, 2.0, 4.0])
    p = swarms.KuramotoParams(couplings, jnp.zeros(4))
    _, records = jax.vmap(lambda p: run(model, 600, p))(p)
    below, *above = np.asarray(records.info.order)[:, -200:].mean(axis=1)
    assert below < 0.12
    np.testing.assert_allclose(above, np.sqrt(1.0 - 1.0 / couplings[1:]), atol=0.05)


def test_cucker_smale_keeps_momentum_and_aligns():
    model = swarms.cucker_smale(BOX, 50, radius=100.0)
    start = model.init(jax.random.split(jax.random.key(0))[0])
    end, records = run(model, 300)
    np.testing.assert_allclose(end.velocities.mean(0), start.velocities.mean(0), atol=1e-5)
    assert records.info.polarization[-1] > 0.99


def test_boids_align():
    _, records = run(swarms.boids(BOX, 100), 200)
    assert records.info.polarization[-1] > 0.8
    assert int(records.info.overflow.max()) == 0


@pytest.mark.slow
def test_couzin_group_mills_as_a_torus_or_moves_in_parallel():
    """Wider zones of orientation: a torus, then a parallel group; none at all: a loose swarm."""
    model = swarms.couzin(space.Space((4.0,) * 3, "open"), 50)
    zones = jnp.array([1.0, 2.0, 8.0])

    def phase(zone):
        p = model.parameters._replace(orientation=zone)
        first, second = jax.random.split(jax.random.key(1))
        end, _ = rollout(model.step, model.init(first), 1200, key=second, inputs=p, every=1200)
        return (
            swarms.polarization(end.velocities),
            swarms.milling(end.positions, end.velocities),
        )

    parallel, milling = (np.asarray(x) for x in jax.jit(jax.vmap(phase))(zones))
    assert parallel[0] < 0.5
    assert parallel[1] < 0.3 < 0.7 < milling[1]
    assert milling[2] < 0.3 < 0.8 < parallel[2]


@pytest.mark.parametrize("n", [5, 40])
def test_aggregation_keeps_its_centre_and_ends_within_a_radius_that_n_does_not_change(n):
    model = swarms.aggregation(OPEN, n)
    start = model.init(jax.random.split(jax.random.key(0))[0])
    end, records = run(model, 1500)
    np.testing.assert_allclose(end.positions.mean(0), start.positions.mean(0), atol=1e-4)
    radius = np.asarray(records.info.radius)
    assert radius[-1] < 0.5 * radius[0]
    assert radius[-1] < float(swarms.swarm_radius(model.parameters))


SMOOTH = {
    "cucker-smale": (lambda: swarms.cucker_smale(BOX, N, radius=100.0), "velocities", "strength"),
    "aggregation": (lambda: swarms.aggregation(OPEN, N), "positions", "width"),
    "kuramoto": (lambda: MODELS["kuramoto"], "phases", "coupling"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_of_smooth_laws_are_their_differences(name):
    """What the docstrings say: gradients are right without hard edges and before chaos."""
    make, leaf, number = SMOOTH[name]
    model, weights = make(), np.cos(np.arange(N))

    def measure(value):
        p = model.parameters._replace(**{number: value})
        step = lambda state, _: (model.step(jax.random.key(1), state, p)[0], None)  # noqa: E731
        state, _ = jax.lax.scan(step, model.init(jax.random.key(0)), length=20)
        found = getattr(state, leaf)
        return weights @ (found[:, 0] if found.ndim == 2 else jnp.sin(found))

    def both(value):
        values = measure(value * 1.05), measure(value * 0.95)
        return jax.grad(measure)(value), (values[0] - values[1]) / (0.1 * value)

    gradient, difference = jax.jit(both)(jnp.float32(getattr(model.parameters, number)))
    assert abs(gradient) > 1e-2
    np.testing.assert_allclose(gradient, difference, rtol=0.02)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="speed"):
        swarms.vicsek(BOX, 10, speed=2.0)
    with pytest.raises(ValueError, match="num_agents"):
        swarms.vicsek(BOX, 0)
    with pytest.raises(ValueError, match="attraction, radius: expected each at most the next"):
        swarms.couzin(BOX, 10, radius=1.0)
    with pytest.raises(ValueError, match="two or three dimensions"):
        swarms.couzin(space.Space((1.0,)), 10)
    with pytest.raises(ValueError, match="open boundary"):
        swarms.aggregation(BOX, 10)
    with pytest.raises(ValueError, match="dt"):
        swarms.aggregation(OPEN, 10, dt=0.0)
    with pytest.raises(ValueError, match="among: expected 10 agents, got 14"):
        swarms.kuramoto(None, 10, among=RING)


def test_wrong_kinds_are_refused_by_name():
    for model in (swarms.vicsek, swarms.boids, swarms.couzin, swarms.aggregation):
        with pytest.raises(ValueError, match=r"space: expected a Space such as .* got 10"):
            model(10, BOX)
    with pytest.raises(ValueError, match=r"num_agents: expected .* got Space"):
        swarms.boids(BOX, OPEN)
    with pytest.raises(ValueError, match=r"space: expected a Space such as .* got 10"):
        swarms.kuramoto(10, BOX)
    with pytest.raises(ValueError, match=r"among: expected a mixing operator .* got str"):
        swarms.kuramoto(None, 10, among="ring")
    with pytest.raises(ValueError, match=r"among: .* got Search; neighbours .*: radius="):
        swarms.kuramoto(None, 10, among=space.search(BOX, 1.5, 10))
    with pytest.raises(ValueError, match=r"radius: expected None, or a space .* got no space"):
        swarms.kuramoto(None, 10, radius=1.0)
    with pytest.raises(ValueError, match=r"radius: .* got among as well"):
        swarms.kuramoto(BOX, N, radius=1.0, among=RING)
