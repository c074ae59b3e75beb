"""The verified-inference experiment: its traced cut is a split network, its sizes are checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from experiments.verified_inference import permutation, splitting
from experiments.verified_inference.config import SCALES, Config
from jaxswarm.trust import split

CONFIG = SCALES["smoke"]


@pytest.mark.slow
def test_the_traced_cut_trains_as_segments_do():
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.random((8, 16)), jnp.float32), jnp.asarray(rng.integers(0, 3, 8))
    params = splitting.initial(CONFIG, jax.random.key(0), 16, 3)
    cut, penalty = len(CONFIG.widths) - 1, 0.4
    variant = splitting.Variant(cut, 0.0, penalty, 1.0)

    def loss_of(logits):
        return jnp.mean(-jax.nn.log_softmax(logits)[jnp.arange(8), y])

    def whole(params):
        logits, sent = splitting.forward(CONFIG, params, x, variant)
        return loss_of(logits) + penalty * split.distance_correlation(x, sent)

    expected = jax.grad(whole)(params)
    layers = [nn.Dense(width) for width in (*CONFIG.widths, 3)]
    listed = [each for layer in layers for each in (layer, nn.relu)][:-1]
    segments = split.cut(listed, 2 * (cut + 1))
    named = {f"layers_{2 * i}": layer for i, layer in enumerate(params)}
    own = split.own_params(segments, named)
    found = split.gradients(segments, own, x, loss_of, penalty=penalty)
    merged = {name: grad for each in found.grads for name, grad in each.items()}
    for i, layer in enumerate(expected):
        for name, grad in layer.items():
            np.testing.assert_allclose(merged[f"layers_{2 * i}"][name], grad, atol=2e-6)


def test_texts_are_tokens():
    tokens = permutation.characters("On  Line 42: é\n")
    assert "".join(permutation.LETTERS[i] for i in tokens) == "on line 00 "
    vocabulary = permutation.frequent_words("the cat, the dog, the end", 3)
    assert vocabulary[0] == "the"
    assert permutation.words("the zebra", vocabulary).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds"),
        ({"widths": (8,)}, "widths"),
        ({"widths": (256, 8)}, "widths"),
        ({"sizes": (3, 4)}, "sizes"),
        ({"byzantine": (0.5,)}, "byzantine"),
        ({"lengths": (9, 3)}, "lengths"),
    ],
)
def test_config_refuses_what_it_would_misreport(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
