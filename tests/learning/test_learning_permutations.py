"""Permuting units does not change a network's function; a permuted copy is matched and merged."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import models
from jaxswarm.learning import matching
from jaxswarm.learning.matching import Flattened, PermutationSpec

X = jnp.asarray(np.random.default_rng(0).uniform(size=(40, 64)), jnp.float32)

NETWORKS = {
    "mlp": models.mlp(12, 9, 4, activation="tanh"),
    "mlp, layer norm": models.mlp(12, 4, norm="layer"),
    "cnn, batch norm": models.cnn(4, channels=(5, 6), widths=(7,), norm="batch"),
    "cnn, layer norm": models.cnn(4, channels=(5,), widths=(), norm="layer"),
}


class Residual(nn.Module):
    """Two blocks that write to one stream of 8 units."""

    @nn.compact
    def __call__(self, x, train=False):
        stream = nn.Dense(8, name="embed")(x)
        for block in range(2):
            hidden = nn.tanh(nn.Dense(6, name=f"up_{block}")(stream))
            stream = stream + nn.Dense(8, name=f"down_{block}")(hidden)
        square = nn.Dense(8, name="square")(nn.tanh(stream))
        return nn.Dense(3, name="head")(stream + square)


RESIDUAL = PermutationSpec(
    {"embed": {"kernel": (None, "stream"), "bias": ("stream",)}}
    | {f"up_{b}": {"kernel": ("stream", f"hidden_{b}"), "bias": (f"hidden_{b}",)} for b in range(2)}
    | {f"down_{b}": {"kernel": (f"hidden_{b}", "stream"), "bias": ("stream",)} for b in range(2)}
    | {
        "square": {"kernel": ("stream", "stream"), "bias": ("stream",)},
        "head": {"kernel": ("stream", None), "bias": (None,)},
    }
)
RESIDUAL_FEATURES = matching.captured_features(
    Residual(),
    {"stream": ("embed", "down_0", "down_1"), "hidden_0": "up_0", "hidden_1": "up_1"},
)


def drawn(shapes, seed, low=-0.5):
    """Numpy draws in the place of shapes: scales of 1 and biases of 0 would hide mistakes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(low, low + 1.0, leaf.shape), jnp.float32), shapes
    )


def network(name):
    """``(spec, features, model, params, stats)``."""
    module = Residual() if name == "residual" else NETWORKS[name]
    model = models.functional(module, X)
    params = drawn(jax.eval_shape(model.init, jax.random.key(0)), 1)
    stats = drawn(jax.eval_shape(model.init_stats), 2, low=0.5)
    if name == "residual":
        return RESIDUAL, RESIDUAL_FEATURES, model, params, stats
    spec = matching.permutation_spec(module, params, stats)
    return spec, matching.features_of(module, activated=False), model, params, stats


def shuffled(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.permutation(size), jnp.int32) for name, size in sizes.items()}


@pytest.mark.parametrize("name", [*NETWORKS, "residual"])
def test_permuting_units_leaves_the_function_alone(name):
    spec, _, model, params, stats = network(name)
    orders = shuffled(matching.sizes(spec, params, stats))

    @jax.jit
    def both(params, stats, orders):
        moved = matching.permute(params, orders, spec.params)
        outputs = model.apply(moved, X, matching.permute(stats, orders, spec.stats))
        back = matching.permute(moved, matching.invert(orders), spec.params)
        return moved, model.apply(params, X, stats), outputs, back

    moved, wanted, got, back = both(params, stats, orders)
    changed = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - b).max(), params, moved)
    assert max(jax.tree.leaves(changed)) > 0.1
    np.testing.assert_allclose(got, wanted, atol=2e-5, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_random_permutations_are_permutations(key):
    orders = matching.random_permutations(key, {"a": 5, "b": 5})
    matching.check_permutations(orders, {"a": 5, "b": 5})
    identity = matching.identity({"a": 5})
    np.testing.assert_array_equal(identity["a"], np.arange(5))


COPIES = [("activations", "mlp"), ("weights", "mlp")] + [
    pytest.param(*case, marks=pytest.mark.slow)
    for case in [
        ("activations", "cnn, batch norm"),
        ("activations", "residual"),
        ("weights", "cnn, batch norm"),
    ]
]


@pytest.mark.parametrize(("by", "name"), COPIES)
def test_a_permuted_copy_is_recovered_and_merging_it_loses_nothing(by, name):
    spec, features, model, params, stats = network(name)
    orders = shuffled(matching.sizes(spec, params, stats))
    if by == "activations":
        recalibrate = model.recalibrate if model.has_stats else None
        matcher = matching.activation_matching(features, recalibrate=recalibrate)
    else:  # greedy, hence not for groups tied as in a residual stream
        matcher = matching.weight_matching(sweeps=6)

    @jax.jit
    def match(params, orders, x):
        copy = matching.permute(params, orders, spec.params)
        others = jax.tree.map(lambda a, b: jnp.stack([a, b]), copy, params)
        found = matcher.match(spec, params, others, x)
        first = {group: order[0] for group, order in found.items()}
        return found, matching.permute(copy, first, spec.params)

    found, aligned = match(params, orders, X.reshape(4, 10, 64))
    for group, order in matching.invert(orders).items():
        np.testing.assert_array_equal(found[group][0], order, err_msg=group)
        np.testing.assert_array_equal(found[group][1], np.arange(len(order)), err_msg=group)
    jax.tree.map(np.testing.assert_array_equal, aligned, params)


@pytest.mark.slow
def test_scipy_and_numpy_find_the_same_pairs_of_unrelated_networks():
    from scipy.optimize import linear_sum_assignment

    spec, features, _, own, _ = network("mlp")
    other = drawn(own, 5)
    matcher = matching.activation_matching(features)
    others = jax.tree.map(lambda leaf: leaf[None], other)
    match = jax.jit(lambda own, others, x: matcher.match(spec, own, others, x))
    found = match(own, others, X.reshape(4, 10, 64))
    mine, theirs = features(own, {}, X), features(other, {}, X)
    for group, order in found.items():
        size = len(order[0])
        table = np.corrcoef(np.asarray(mine[group]).T, np.asarray(theirs[group]).T)[:size, size:]
        np.testing.assert_array_equal(order[0], linear_sum_assignment(table, maximize=True)[1])


def test_derived_specs_cover_every_leaf_and_name_layers():
    spec, _, _, params, stats = network("cnn, batch norm")
    assert matching.sizes(spec, params, stats) == {"Conv_0": 5, "Conv_1": 6, "Dense_0": 7}
    assert spec.params["Dense_0"]["kernel"] == (Flattened("Conv_1", 4), "Dense_0")
    assert spec.stats["BatchNorm_2"] == {"mean": ("Dense_0",), "var": ("Dense_0",)}
    assert set(spec.groups) == {"Conv_0", "Conv_1", "Dense_0"}


PARAMS = {"a": {"kernel": jnp.zeros((3, 4))}, "b": {"kernel": jnp.zeros((4, 2))}}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"a": {"kernel": (None, "h")}}, r"does not cover leaf \['b'\]\['kernel'\]"),
        (
            {"a": {"kernel": (None, "h")}, "b": {"kernel": ("h", None)}, "c": (None,)},
            r"names leaf \['c'\]",
        ),
        ({"a": {"kernel": (None, "h")}, "b": {"kernel": ("h",)}}, "one entry per axis"),
        (
            {"a": {"kernel": ("h", None)}, "b": {"kernel": ("h", None)}},
            r"'h' has 3 units in leaf .*but 4 in leaf \['b'\]",
        ),
        (
            {"a": {"kernel": (None, "h")}, "b": {"kernel": (Flattened("h", 3), None)}},
            "an axis of 4 is not 3 blocks",
        ),
        ({"a": {"kernel": (None, None)}, "b": {"kernel": (None, None)}}, "at least one group"),
        ({"a": {"kernel": "h"}, "b": {"kernel": ("h", None)}}, "expected a tuple of group names"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        matching.sizes(PermutationSpec(spec), PARAMS)


def test_networks_without_a_spec_are_refused():
    with pytest.raises(ValueError, match="norm='group'"):
        matching.permutation_spec(models.mlp(32, 4, norm="group"), {})
    with pytest.raises(ValueError, match="without any"):
        matching.permutation_spec(models.logistic(4), {})
    with pytest.raises(ValueError, match="write its PermutationSpec by hand"):
        matching.permutation_spec(Residual(), {})
    with pytest.raises(ValueError, match="name its submodules with captured_features"):
        matching.features_of(Residual())
    with pytest.raises(ValueError, match="where: expected at least one group"):
        matching.captured_features(Residual(), {})
    params = network("residual")[3]
    with pytest.raises(ValueError, match="no submodule 'nowhere' was called"):
        matching.captured_features(Residual(), {"stream": "nowhere"})(params, {}, X)


def test_permutations_are_checked():
    sizes = {"h": 3}
    matching.check_permutations({"h": jnp.array([2, 0, 1])}, sizes)
    with pytest.raises(ValueError, match="unknown group of permutations 'g'"):
        matching.check_permutations({"g": jnp.arange(3)}, sizes)
    with pytest.raises(ValueError, match="'h' has 3 units"):
        matching.check_permutations({"h": jnp.arange(2)}, sizes)
    with pytest.raises(ValueError, match="exactly once"):
        matching.check_permutations({"h": jnp.array([0, 0, 1])}, sizes)


def test_features_that_do_not_fit_the_spec_are_refused():
    spec, _, _, params, _ = network("mlp")
    others = jax.tree.map(lambda leaf: leaf[None], params)
    x = X.reshape(4, 10, 64)
    for features, message in (
        (lambda p, s, x: {"Dense_0": x[:, :12]}, "activations of group 'Dense_1'"),
        (lambda p, s, x: {"Dense_0": x, "Dense_1": x}, "'Dense_0' has 12 units in the spec"),
    ):
        with pytest.raises(ValueError, match=message):
            matching.activation_matching(features).match(spec, params, others, x)
    with pytest.raises(ValueError, match="sweeps"):
        matching.weight_matching(sweeps=0)
