"""The cache of fine-tuned base models: hits, misses, damaged folders, what the hash depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import language
from jaxswarm.checkpoint import CheckpointLockedError, CheckpointWarning
from jaxswarm.data import verifiable
from jaxswarm.language import _base_models, _sft
from jaxswarm.models import transformer
from tests.later import Later, built

TOKENIZER = verifiable.tokenizer()
MODEL = transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=8, num_layers=1))
ITEMS = verifiable.draw_items(verifiable.reverse_comparison(2), 24, seed=0)
DATA = verifiable.to_arrays(ITEMS[:16], TOKENIZER)
HELD_OUT = verifiable.to_arrays(ITEMS[16:], TOKENIZER)


def tune(folder, **changes):
    arguments = {
        "key": jax.random.key(0),
        "model": MODEL,
        "params": MODEL.init(jax.random.key(1)),
        "demonstrations": DATA,
        "validation": HELD_OUT,
        "target": 0.9,
        "separator": TOKENIZER.token("\n"),
        "max_new_tokens": 2,
        "steps_per_check": 3,
        "max_steps": 6,
        "batch_size": 4,
        "cache": folder,
    } | changes
    return language.fine_tune(**arguments)


@pytest.fixture
def builds(monkeypatch):
    """A list that grows by one for each fine-tuning that is really run."""
    seen, real = [], _sft._train_to_target
    monkeypatch.setattr(_sft, "_train_to_target", lambda *args: seen.append(0) or real(*args))
    return seen


def test_an_equal_call_reads_what_the_first_one_kept(tmp_path, builds):
    cold = tune(None)
    first = tune(tmp_path)
    second = tune(tmp_path)
    assert len(builds) == 2
    for found in (first, second):
        jax.tree.map(np.testing.assert_array_equal, found.params, cold.params)
        np.testing.assert_array_equal(found.pass_rates, cold.pass_rates)
        assert (found.num_steps, found.reached) == (cold.num_steps, cold.reached) == (6, False)
    assert second.pass_rates.dtype == np.float64
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"key": jax.random.key(5)},
        {"params": Later(MODEL.init, jax.random.key(2))},
        {"demonstrations": DATA._replace(answers=DATA.answers + 1)},
        {"target": 0.8},
        {"max_steps": 3},
        {"optimizer": optax.adam(1e-3)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_call_is_built_and_kept_apart(tmp_path, builds, changes):
    tune(tmp_path)
    tune(tmp_path, **built(changes))
    assert len(builds) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_damaged_is_built_anew(tmp_path, builds):
    first = tune(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and "arrays" in path.parts:
            path.write_bytes(b"broken")
    with pytest.warns(CheckpointWarning, match="built anew.*sft_"):
        second = tune(tmp_path)
    assert len(builds) == 2
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    tune(tmp_path)
    assert len(builds) == 2


def test_a_folder_that_is_in_use_is_left_alone(tmp_path, builds, monkeypatch):
    def locked(self, resume):
        raise CheckpointLockedError("checkpoint: in use")

    tune(tmp_path)
    monkeypatch.setattr(_base_models.Store, "prepare", locked)
    tune(tmp_path)
    assert len(builds) == 2


def test_a_cache_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ValueError, match="cache: expected a folder, got the file"):
        tune(path)
    with pytest.raises(ValueError, match="cache: expected a str"):
        tune(3)


def test_the_hash_of_a_program_sees_what_functions_close_over():
    x = jnp.arange(3.0)

    def scaled(factor, offset=0.0):
        def function(x):
            return jax.lax.scan(lambda c, y: (c + factor * y, offset), 0.0, x)

        return function

    def hashed(*numbers):
        return _base_models.program_hash(scaled(*numbers), x)

    assert hashed(2.0) == hashed(2.0)
    assert hashed(2.0) != hashed(3.0)
    rows = jnp.ones((3, 2))

    def closes_over(array):
        inner = jax.jit(lambda row: row * array)
        return lambda x: jax.vmap(inner)(x)

    found = {
        _base_models.program_hash(closes_over(jnp.asarray(v)), rows)
        for v in ([1.0, 2.0], [1.0, 3.0])
    }
    assert len(found) == 2
