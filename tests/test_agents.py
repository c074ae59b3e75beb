"""Laws of the agents axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import agents


def tree(n: int, seed: int = 0):
    a, b = jax.random.split(jax.random.key(seed))
    return {"w": jax.random.normal(a, (n, 3, 2)), "b": jax.random.normal(b, (n,))}


def assert_trees_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def test_disagreement_is_zero_iff_all_agents_are_equal():
    one = {"w": jnp.array([0.1, 0.7]), "b": jnp.float32(1 / 3)}
    equal = agents.broadcast(one, 8)
    assert float(agents.disagreement(equal)) == 0.0
    differs = equal | {"b": equal["b"].at[3].add(1e-3)}
    assert float(agents.disagreement(differs)) > 0.0


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 100))
def test_disagreement_matches_numpy_and_ignores_the_order_of_agents(seed):
    stacked = tree(7, seed)
    flat = np.concatenate([np.asarray(stacked["b"])[:, None], np.reshape(stacked["w"], (7, -1))], 1)
    expected = np.square(flat - flat.mean(0)).sum(1)
    np.testing.assert_allclose(agents.squared_distance_to_mean(stacked), expected, rtol=1e-4)
    np.testing.assert_allclose(agents.disagreement(stacked), expected.mean(), rtol=1e-5)
    order = np.random.default_rng(seed).permutation(7)
    shuffled = jax.tree.map(lambda x: x[order], stacked)
    np.testing.assert_allclose(
        agents.disagreement(shuffled), agents.disagreement(stacked), rtol=1e-5
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        agents.mean(shuffled),
        agents.mean(stacked),
    )


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_disagreement_of_half_precision_is_measured_in_single(dtype):
    x = jnp.array([[300.0], [-300.0]], dtype)  # the square overflows float16
    result = agents.disagreement({"x": x})
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, 90_000.0, rtol=1e-2)
    many = jnp.ones((4096, 1), dtype)  # a sum in half precision would saturate
    assert float(agents.disagreement({"x": many})) == 0.0
    assert float(agents.mean({"x": many})["x"][0]) == 1.0


def test_disagreement_counts_integer_leaves_too():
    assert float(agents.disagreement({"n": jnp.array([0, 2])})) == 1.0


def test_ravel_round_trip_with_mixed_dtypes():
    stacked = {
        "half": jnp.arange(10, dtype=jnp.bfloat16).reshape(5, 2),
        "single": jnp.linspace(0, 1, 15).reshape(5, 3, 1),
        "whole": jnp.arange(5, dtype=jnp.int32),
    }
    matrix, unravel = agents.ravel(stacked)
    assert matrix.shape == (5, 2 + 3 + 1)
    assert_trees_equal(unravel(matrix), stacked)
    fewer = unravel(matrix[:2])
    assert_trees_equal(fewer, jax.tree.map(lambda x: x[:2], stacked))


def test_ravel_keeps_leaves_without_entries_and_works_in_jit():
    stacked = {"a": jnp.zeros((3, 0)), "b": jnp.ones((3, 2))}
    matrix, unravel = agents.ravel(stacked)
    assert_trees_equal(unravel(matrix), stacked)
    doubled = jax.jit(lambda t: (lambda m, u: u(2 * m))(*agents.ravel(t)))(stacked)
    np.testing.assert_array_equal(doubled["b"], 2 * stacked["b"])


def test_keys_do_not_depend_on_how_many_agents_there_are(key):
    data = jax.random.key_data
    few, many = agents.keys(key, 4), agents.keys(key, 100)
    np.testing.assert_array_equal(data(few), data(many[:4]))
    np.testing.assert_array_equal(data(agents.keys(key, 10, offset=90)), data(many[90:]))
    assert len(np.unique(data(many), axis=0)) == 100


def test_initialize_gives_each_its_own_or_all_the_same(key):
    def init(k):
        return {"w": jax.random.normal(k, (3,))}

    own, shared = agents.initialize(key, init, 5), agents.initialize(key, init, 5, shared=True)
    assert own["w"].shape == shared["w"].shape == (5, 3)
    assert float(agents.disagreement(own)) > 0.1
    assert float(agents.disagreement(shared)) == 0.0
    np.testing.assert_array_equal(agents.initialize(key, init, 2)["w"], own["w"][:2])


@settings(deadline=None, max_examples=10)
@given(st.lists(st.booleans(), min_size=6, max_size=6).filter(any))
def test_masked_mean_is_numpys_mean_of_the_selected_agents(mask):
    stacked = tree(6)
    stacked["w"] = stacked["w"].at[np.flatnonzero(~np.array(mask))].set(jnp.nan)
    result = agents.mean(stacked, jnp.array(mask))
    for name in ("w", "b"):
        expected = np.asarray(stacked[name])[np.array(mask)].mean(0)
        np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-6)


def test_mean_of_integers_is_a_fraction_with_and_without_mask():
    stacked = {"n": jnp.array([0, 1, 1, 9])}
    assert float(agents.mean(stacked)["n"]) == 2.75
    mask = jnp.array([True, True, True, False])
    np.testing.assert_allclose(agents.mean(stacked, mask)["n"], 2 / 3, rtol=1e-6)


def test_stack_and_unstack_are_inverse():
    singles = [{"w": jnp.full(2, float(i)), "b": jnp.int32(i)} for i in range(3)]
    stacked = agents.stack(singles)
    assert agents.num_agents(stacked) == 3
    for a, b in zip(agents.unstack(stacked), singles, strict=True):
        assert_trees_equal(a, b)


def test_where_chooses_agents():
    mask = jnp.array([True, False, True])
    chosen = agents.where(mask, tree(3, 0), tree(3, 1))
    for i, seed in enumerate((0, 1, 0)):
        np.testing.assert_array_equal(chosen["w"][i], tree(3, seed)["w"][i])


def test_message_size_counts_entries_and_bytes():
    stacked = {"a": jnp.zeros((9, 3, 2)), "b": jnp.zeros((9,), jnp.bfloat16)}
    assert agents.message_size(stacked) == (7, 26)


def test_expand_broadcasts_leading_axes():
    leaf = jnp.ones((3, 2, 4))
    np.testing.assert_array_equal(
        agents.expand(jnp.arange(3.0), leaf) * leaf,
        np.arange(3.0)[:, None, None] * np.ones(leaf.shape),
    )
    assert agents.expand(jnp.ones((3, 2)), leaf).shape == (3, 2, 1)
    with pytest.raises(ValueError, match=r"values: expected the leading axes \(3,\)"):
        agents.expand(jnp.ones(4), leaf)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda: agents.check_params({"n": jnp.ones((3, 2), int)}, 3),
            r"params: leaf \['n'\]: expected a floating dtype, .* got int",
        ),
        (
            lambda: agents.check_same_shapes({"a": jnp.ones((3, 1))}, {"a": jnp.ones((3, 2))}),
            "messages: expected the parameters' shapes",
        ),
        (lambda: agents.num_agents({}), "at least one leaf"),
        (lambda: agents.num_agents({"a": jnp.ones(())}), r"leaf \['a'\].*scalar"),
        (
            lambda: agents.num_agents({"a": jnp.ones((3, 1)), "b": jnp.ones(4)}),
            r"leaf \['b'\]: expected leading axis 3 like leaf \['a'\], got 4",
        ),
        (
            lambda: agents.check_leading_axis({"a": jnp.ones(4)}, 3, "params"),
            r"params: leaf \['a'\] must lead with 3 agents, got shape \(4,\)",
        ),
        (lambda: agents.stack([]), "trees: expected at least one agent"),
        (
            lambda: agents.stack([{"a": jnp.ones(2)}, {"b": jnp.ones(2)}]),
            r"trees: agent 1 .*structure",
        ),
        (
            lambda: agents.stack([{"a": jnp.ones(2)}, {"a": jnp.ones(3)}]),
            r"trees: agent 1, leaf \['a'\]: expected shape \(2,\) like agent 0, got \(3,\)",
        ),
        (
            lambda: agents.initialize(jax.random.key(0), lambda k: k, 0),
            "num_agents: expected a whole number of at least 1, got 0",
        ),
        (
            lambda: agents.broadcast({"a": jnp.ones(2)}, 0),
            "num_agents: expected a whole number of at least 1, got 0",
        ),
        (
            lambda: agents.ravel({"w": jnp.ones(2), "n": jnp.array([0, 2**24 + 1])}),
            r"tree: leaf \['n'\]: expected a dtype that float32 carries exactly, got int32",
        ),
        (
            lambda: jax.jit(lambda n: agents.ravel({"w": jnp.ones(2), "n": n})[0])(jnp.arange(2)),
            r"tree: leaf \['n'\]: expected a dtype that float32 carries exactly, got int32",
        ),
        *[
            (lambda f=f: f({"rng": jax.random.split(jax.random.key(0), 3)}), r"leaf \['rng'\]")
            for f in (agents.mean, agents.disagreement, agents.ravel)
        ],
        (
            lambda: agents.keys(jnp.zeros(2, jnp.uint32), 3),
            r"key: expected a typed key from jax\.random\.key",
        ),
        (
            lambda: agents.mean({"a": jnp.ones((3, 2))}, jnp.ones(4, bool)),
            r"mask: expected bool\[3\], got bool\[4\]",
        ),
        (
            lambda: agents.where(jnp.ones(4, bool), {"a": jnp.ones(3)}, {"a": jnp.ones(3)}),
            r"mask: expected shape \(3,\), got \(4,\)",
        ),
    ],
)
def test_bad_input_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        function()
