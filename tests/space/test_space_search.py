"""Neighbour search: equal to brute force, whatever the boundary, the method and the clumping."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import space
from tests.tracing import Counted


def brute(box, positions, features, radius):
    at, values = np.asarray(positions, np.float64), np.asarray(features, np.float64)
    offset = at[None] - at[:, None]
    if box.boundary == "periodic":
        sides = np.asarray(box.sides)
        offset -= sides * np.round(offset / sides)
    squared = (offset**2).sum(-1)
    near = (squared <= radius**2) & ~np.eye(len(at), dtype=bool)
    return near.astype(np.float64) @ values, near, squared


def points(seed, n, box, clumped):
    rng = np.random.default_rng(seed)
    at = rng.random((n, box.dimensions)) * np.asarray(box.sides)
    if clumped:
        at[: n // 2] = at[0] + 0.05 * rng.standard_normal((n // 2, box.dimensions))
    else:
        at[0], at[1] = box.sides, 0.0  # exactly at the corners
        at[2] = at[3]
    if box.boundary == "open":
        at[5:8] += 3.0
    elif clumped:
        at = np.asarray(box.wrap(jnp.asarray(at, jnp.float32)))
    return np.asarray(at, np.float32)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**20),
    boundary=st.sampled_from(space.BOUNDARIES),
    dimensions=st.sampled_from([1, 2, 3]),
    method=st.sampled_from(["pairs", "strips"]),
    radius=st.sampled_from([0.11, 0.25, 0.33]),
    clumped=st.booleans(),
)
def test_equal_to_brute_force(seed, boundary, dimensions, method, radius, clumped):
    box = space.Space((1.0, 1.5, 1.2)[:dimensions], boundary)
    at = points(seed, 40, box, clumped)
    features = np.random.default_rng(seed + 1).standard_normal((40, 2)).astype(np.float32)
    search = space.search(box, radius, 40, method=method)
    want, near, squared = brute(box, at, features, radius)
    if np.abs(squared - radius**2)[~np.eye(40, dtype=bool)].min() < 1e-5:
        return  # a pair on the very edge: float32 and float64 may differ
    got, report = jax.jit(search.sum)(jnp.asarray(at), jnp.asarray(features))
    np.testing.assert_allclose(got, want, atol=1e-4)
    assert int(report.overflow) == int(report.nonfinite) == 0
    listed = jax.jit(lambda at: search.neighbors(at, 40))(jnp.asarray(at))
    for i in range(40):
        found = np.asarray(listed.indices)[i][np.asarray(listed.mask)[i]]
        assert sorted(found) == list(np.flatnonzero(near[i]))


@pytest.mark.parametrize("method", ["pairs", "strips"])
def test_gradients_are_finite_even_where_agents_coincide(method):
    box = space.Space((1.0, 1.0))
    search = space.search(box, 0.2, 30, method=method, capacity=30)
    at = jnp.asarray(points(0, 30, box, clumped=False))

    def energy(at):
        return search.reduce(at, lambda own, other, offset: space.length(offset))[0].sum()

    slope = jax.jit(jax.grad(energy))(at)
    assert bool(jnp.isfinite(slope).all())
    assert float(jnp.abs(slope).max()) > 0.0


@pytest.mark.parametrize("method", ["pairs", "strips"])
def test_a_bad_position_is_counted_and_has_no_neighbors(method):
    search = space.search(space.Space((1.0, 1.0)), 0.3, 20, method=method)
    at = jnp.full((20, 2), 0.5).at[3].set(jnp.nan)
    count, report = jax.jit(lambda at: search.sum(at, jnp.ones(20)))(at)
    assert int(report.nonfinite) == 1
    assert count.tolist() == [18.0] * 3 + [0.0] + [18.0] * 16


@pytest.mark.parametrize("method", ["pairs", "strips"])
def test_a_bad_feature_stays_with_its_agent(method):
    """A matrix product would spread 0 · NaN to all agents."""
    search = space.search(space.Space((1.0, 1.0)), 0.3, 20, method=method)
    at = jnp.full((20, 2), 0.5)
    bad = jnp.ones((20, 2)).at[3, 1].set(jnp.inf).at[7, 0].set(jnp.nan)
    total, report = jax.jit(search.sum)(at, bad)
    assert report.flagged.tolist() == [i in (3, 7) for i in range(20)]
    keep = np.delete(np.asarray(total), [3, 7], axis=0)
    np.testing.assert_array_equal(keep, 17.0)
    active = jnp.arange(20) != 3
    assert int(jax.jit(lambda: search.sum(at, bad, active=active)[1].nonfinite)()) == 1


@pytest.mark.parametrize("method", [pytest.param("pairs", marks=pytest.mark.slow), "strips"])
@pytest.mark.parametrize("boundary", space.BOUNDARIES)
def test_permuting_agents_permutes_sums_and_radii_are_traced(boundary, method):
    box = space.Space((1.0, 1.5), boundary)
    search = space.search(box, 0.3, 40, method=method)
    at = jnp.asarray(points(5, 40, box, clumped=True))
    order = np.roll(np.arange(40), 7)
    count = Counted(lambda at, radius: search.sum(at, jnp.ones(len(at)), radius=radius)[0])
    for radius in (0.1, 0.3):
        np.testing.assert_array_equal(count(at, radius)[order], count(at[order], radius))
        np.testing.assert_array_equal(
            count(at, radius), search.sum(at, jnp.ones(40), radius=radius)[0]
        )
    assert count.traces == 1
    own = jnp.linspace(0.05, 0.3, 40)  # a radius of each agent's own
    each = [float(count(at, float(radius))[i]) for i, radius in enumerate(own)]
    np.testing.assert_array_equal(search.sum(at, jnp.ones(40), radius=own)[0], each)


@pytest.mark.slow
def test_overflow_is_counted_and_strict_raises():
    at = jnp.full((20, 2), 0.5)
    box = space.Space((1.0, 1.0))
    loose = space.search(box, 0.2, 20, method="strips", capacity=4)
    assert int(loose.sum(at, jnp.ones(20))[1].overflow) == 20
    strict = space.search(box, 0.2, 20, method="strips", capacity=4, strict=True)
    with pytest.raises(ValueError, match="capacity"):
        strict.sum(at, jnp.ones(20))
    assert bool(jnp.isnan(jax.jit(lambda at: strict.sum(at, jnp.ones(20))[0])(at)).all())


@pytest.mark.parametrize(
    ("bad", "name"),
    [({"num_agents": 0}, "num_agents"), ({"radius": 0.0}, "radius"), ({"capacity": 0}, "capacity")],
)
def test_bad_input_is_named(bad, name):
    good = {"space": space.Space((1.0, 1.0)), "radius": 0.1, "num_agents": 5}
    with pytest.raises(ValueError, match=name):
        space.search(**(good | bad))


def crowd(box):
    rng = np.random.default_rng(2)
    at = rng.uniform(0.01, np.asarray(box.sides), (40, box.dimensions))
    at[3] = 0.0  # where positions that are not finite are kept for the arithmetic
    return jnp.asarray(at, jnp.float32), jnp.asarray(rng.normal(size=(40, 2)), jnp.float32)


REDUCTIONS = {
    "sum": lambda search, at, x, active: search.sum(at, x, active=active),
    "weighted sum": lambda search, at, x, active: search.sum(
        at, x, lambda squared: 1.0 / squared, active=active
    ),
    **{
        f"reduce by {op}": (
            lambda search, at, x, active, op=op: search.reduce(
                at, lambda own, other, offset: other, x, op=op, active=active
            )
        )
        for op in ("sum", "min", "max")
    },
    "lists": lambda search, at, x, active: (
        (lists := search.neighbors(at, 40, active=active)).mask.sum(axis=1),
        lists.report,
    ),
}


CROWDS = [
    *(("periodic", name) for name in REDUCTIONS),
    *((boundary, "sum") for boundary in ("reflecting", "open")),
]


@pytest.mark.parametrize("method", ["pairs", "strips"])
@pytest.mark.parametrize(("boundary", "name"), CROWDS)
def test_a_nan_agent_is_no_neighbor_and_takes_none_away(boundary, name, method):
    search = space.search(space.Space((1.0, 1.5), boundary), 0.3, 40, method=method)
    at, x = crowd(search.space)
    every, there = jnp.ones(40, bool), jnp.arange(40) != 9
    reduced = jax.jit(lambda at, x, active: REDUCTIONS[name](search, at, x, active))
    want, _ = reduced(at, x, there)
    rest = np.delete(np.arange(40), 9)
    for bad in (jnp.nan, jnp.inf):
        lost = at.at[9, 0].set(bad)
        for active in (every, there):
            got, report = reduced(lost, x, active)
            np.testing.assert_allclose(got[rest], want[rest], atol=1e-5)
            assert int(report.nonfinite) == int(active[9])
        if name != "lists":
            got, report = reduced(at, x.at[9, 0].set(bad), every)
            np.testing.assert_allclose(got[rest], want[rest], atol=1e-5)
            assert int(report.nonfinite) == 1


@pytest.mark.slow
@pytest.mark.parametrize("radius", [0.6, 1.0, 5.0, 1e4])
@pytest.mark.parametrize("boundary", ["reflecting", "open"])
def test_strips_miss_no_neighbor_of_a_large_radius(boundary, radius):
    box = space.Space((1.0, 1.5), boundary)
    at, x = crowd(box)
    sums = [
        space.search(box, radius, 40, method=method).sum(at, x)[0] for method in ("pairs", "strips")
    ]
    np.testing.assert_allclose(*sums, atol=1e-4)


@pytest.mark.parametrize("method", ["pairs", "strips"])
def test_a_traced_radius_below_zero_or_nan_reaches_no_agent(method):
    search = space.search(space.Space((1.0, 1.0)), 0.3, 20, method=method)
    at = jnp.full((20, 2), 0.5)
    count = jax.jit(lambda radius: search.sum(at, jnp.ones(20), radius=radius)[0])
    assert count(0.0).tolist() == [19.0] * 20
    for radius in (-0.2, jnp.nan):
        assert count(radius).tolist() == [0.0] * 20
        with pytest.raises(ValueError, match="radius"):
            search.sum(at, jnp.ones(20), radius=radius)
