"""Worlds of the Lattica experiment: distances, padded tables, the product of replicated data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lattica import lookup, store, world
from experiments.lattica.config import SCALES
from jaxswarm.network import crdt, dht

CONFIG = SCALES["smoke"]


def test_regions_are_as_far_apart_as_light_in_cables_needs():
    matrix = np.asarray(world.earth(SCALES["full"]).round_trip)
    names = list(world.PLACES)
    assert matrix.shape == (10, 10)
    # Virginia and Frankfurt are 6,500 km apart: 65 ms in a straight fiber, and back.
    atlantic = matrix[names.index("US East"), names.index("Europe")]
    assert 0.065 < atlantic < 0.13
    assert (np.diag(matrix) == np.float32(0.005)).all()
    assert 0.2 < matrix.max() < 0.35


def test_mixes_are_shares():
    for shares in world.MIXES.values():
        assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_padded_tables_give_the_same_lookups():
    table = lookup._table(jax.random.key(0), 40, 4)
    padded = lookup._padded(table, 64)
    targets = dht.random_ids(jax.random.key(1), 6)
    starts = np.arange(6)
    search = jax.jit(dht.lookup)
    one, other = search(table, targets, starts), search(padded, targets, starts)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_the_store_keeps_both_of_its_parts():
    kind, elements, register, table = store.store(CONFIG, tie_break=True)
    first, second = kind.init(), kind.init()
    first = (elements.add(first[0], 2, 0), first[1])
    write = lambda entry: register.write(entry, 7, crdt.tick(entry.clock, 3), 1)  # noqa: E731
    second = (second[0], table.update(second[1], 5, write))
    merge = jax.jit(kind.merge)
    for one, other in ((first, second), (second, first)):
        present, (values, written) = kind.read(merge(one, other))
        assert jnp.flatnonzero(present).tolist() == [2]
        assert jnp.flatnonzero(written).tolist() == [5]
        assert int(values[5]) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds: expected"),
        ({"train_seeds": 99}, "train_seeds: expected"),
        ({"replicas": (64, 32)}, "replicas: expected ascending"),
        ({"regions": 11}, "regions: expected"),
        ({"sizes": (1e6,)}, "sizes: expected"),
    ],
)
def test_sizes_that_the_experiment_cannot_run_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SCALES["small"], **change)
