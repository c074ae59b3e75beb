"""Beam search against brute force and greedy decoding."""

import itertools

import jax
import numpy as np
import pytest

from jaxswarm.models import transformer

VOCABULARY, END, PAD = 5, 1, 0
PROMPTS = np.array([[2, 3, 4], [4, 4, 0]], np.int32)
MASK = np.array([[True, True, True], [True, True, False]])


@pytest.fixture(scope="module")
def model():
    return transformer.from_config(transformer.Config(VOCABULARY, width=8, num_layers=1))


@pytest.fixture(scope="module")
def params(model):
    # Larger embeddings than usual, so that tokens differ in probability.
    return jax.tree.map(lambda x: 3.0 * x, jax.jit(model.init)(jax.random.key(3)))


@pytest.fixture(scope="module")
def search(model):
    return jax.jit(
        lambda params, beams, steps: transformer.beam_search(
            model, params, PROMPTS, MASK, max_new_tokens=steps, num_beams=beams
        ),
        static_argnums=(1, 2),
    )


def test_as_many_beams_as_tokens_find_the_best_completion_of_two_tokens(model, params, search):
    """With all first tokens kept, two steps are an exhaustive search."""
    found = search(params, VOCABULARY, 2)
    endings = [(END, PAD)] + [
        pair for pair in itertools.product(range(VOCABULARY), repeat=2) if pair[0] != END
    ]
    completions = np.tile(np.array(endings), (2, 1, 1))
    counts = np.tile(np.array([[True, a != END] for a, _ in endings]), (2, 1, 1))
    score = jax.jit(lambda *args: transformer.completion_log_probs(model, *args).sum(axis=-1))
    total = np.asarray(score(params, PROMPTS, MASK, completions, counts))
    best = total.argmax(axis=1)
    np.testing.assert_array_equal(found.tokens, np.array(endings)[best])
    np.testing.assert_allclose(found.log_probs, total.max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found.mask[:, 1], np.asarray(found.tokens)[:, 0] != END)


def test_one_beam_is_greedy_decoding_and_more_beams_find_no_less(model, params, search):
    decode = jax.jit(
        lambda params: transformer.generate(
            jax.random.key(0), model, params, PROMPTS, MASK, max_new_tokens=4, temperature=0.0
        )
    )
    greedy = decode(params)
    one, four = search(params, 1, 4), search(params, 4, 4)
    np.testing.assert_array_equal(one.tokens, greedy.tokens)
    np.testing.assert_array_equal(one.mask, greedy.mask)
    np.testing.assert_array_equal(one.finished, greedy.finished)
    np.testing.assert_allclose(one.log_probs, greedy.log_probs.sum(axis=1), rtol=1e-4)
    assert (four.log_probs >= one.log_probs - 1e-5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "model"),
        ({"prompts": [[9]]}, "prompts"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 6}, "num_beams"),
        ({"end_token": 5}, "end_token"),
        ({"pad_token": -1}, "pad_token"),
    ],
)
def test_bad_input_is_named(model, params, change, message):
    good = {
        "model": model,
        "params": params,
        "prompts": PROMPTS,
        "max_new_tokens": 2,
        "num_beams": 2,
    }
    with pytest.raises(ValueError, match=message):
        transformer.beam_search(**(good | change))
