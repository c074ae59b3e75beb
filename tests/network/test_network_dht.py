"""Kademlia: distances and tables against Python integers, lookups against an oracle, records."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.network import dht

N, QUERIES, SMALL = 200, 64, 8


def integers(ids):
    """Identifiers as Python integers."""
    return [int("".join(f"{int(word):032b}" for word in row), 2) for row in np.asarray(ids)]


@pytest.fixture(scope="module")
def network():
    keys = jax.random.split(jax.random.key(0), 4)
    table = dht.routing_table(keys[0], dht.random_ids(keys[1], N), k=SMALL)
    targets = dht.random_ids(keys[2], QUERIES)
    return table, targets, jax.random.randint(keys[3], (QUERIES,), 0, N)


def test_distances_and_prefixes_are_those_of_integers(network):
    table, targets, _ = network
    one, other = table.ids[:QUERIES], targets.at[:, 0].set(table.ids[:QUERIES, 0])
    other = other.at[0].set(one[0])
    exact = [a ^ b for a, b in zip(integers(one), integers(other), strict=True)]
    assert integers(dht.distance(one, other)) == exact
    assert dht.common_prefix(one, other).tolist() == [160 - x.bit_length() for x in exact]


def test_buckets_hold_peers_of_their_prefix_and_all_of_small_ranges(network):
    table = network[0]
    ids, buckets = integers(table.ids), np.asarray(table.buckets)
    for peer in range(0, N, 17):
        prefix = [160 - (ids[peer] ^ x).bit_length() for x in ids]
        assert max(p for i, p in enumerate(prefix) if i != peer) < buckets.shape[1]
        for bit, bucket in enumerate(buckets[peer]):
            held = bucket[bucket >= 0].tolist()
            range_ = [i for i, p in enumerate(prefix) if p == bit]
            assert set(held) <= set(range_)
            assert len(set(held)) == len(held) == min(len(range_), SMALL)


@pytest.mark.slow
def test_bucket_choices_are_uniform():
    ids = np.zeros((9, 2), np.uint32)
    ids[:, 0] = [0, *((1 << 31) + np.arange(8))]
    keys = jax.random.split(jax.random.key(3), 200)
    held = [np.asarray(dht.routing_table(k, ids, k=3).buckets)[0, 0] for k in keys]
    counts = np.bincount(np.ravel(held), minlength=9)[1:]
    assert counts.sum() == 600
    assert abs(counts - 75).max() < 4 * 75**0.5


def test_lookups_find_the_closest_peers_in_few_messages(network):
    table, targets, starts = network
    found = jax.jit(dht.lookup)(table, targets, starts)
    assert bool(found.finished.all())
    exact = dht.closest_peers(table, targets, SMALL)
    np.testing.assert_array_equal(found.closest, exact)
    ids, wanted = integers(table.ids), integers(targets)
    for query in range(5):
        order = sorted(range(N), key=lambda i, q=query: ids[i] ^ wanted[q])
        assert order[:SMALL] == exact[query].tolist()
    assert int(found.timeouts.sum()) == 0
    assert int(found.messages.max()) < N / 2
    assert int(found.rounds.min()) >= 1


def test_lookups_get_round_peers_that_are_gone(network):
    table, targets, starts = network
    alive = jax.random.bernoulli(jax.random.key(5), 0.8, (N,)).at[starts].set(True)
    found = jax.jit(dht.lookup)(table, targets, starts, alive=alive)
    exact = dht.closest_peers(table, targets, SMALL, alive=alive)
    assert float(jnp.mean(found.closest[:, 0] == exact[:, 0])) >= 0.98
    assert bool(alive[found.closest].all())
    assert int(found.timeouts.sum()) > 0


def test_one_word_two_peers_and_a_bound_of_rounds():
    ids = np.array([[5], [2**31]], np.uint32)
    table = dht.routing_table(jax.random.key(0), ids)
    found = dht.lookup(table, np.array([[4]], np.uint32), [1])
    assert found.closest[0, :3].tolist() == [0, 1, -1]
    keys = jax.random.split(jax.random.key(0), 3)
    sparse = dht.routing_table(keys[0], dht.random_ids(keys[1], N), k=1)
    cut = dht.lookup(sparse, dht.random_ids(keys[2], 32), np.arange(32), max_rounds=1)
    assert not bool(cut.finished.all())
    assert int(cut.rounds.max()) == 1


def test_records_keep_versions_subkeys_quorums_and_times():
    store, holders = dht.records(6, 2, num_subkeys=2), [4, 1, 3]
    alive = np.array([1, 1, 1, 1, 0, 1], bool)
    store, done = dht.put(store, 1, holders, 7, version=2, now=0.0, lifetime=10.0, alive=alive)
    assert bool(done)
    store, _ = dht.put(store, 1, holders, 5, version=1, now=0.0, lifetime=10.0)  # an old version
    store, _ = dht.put(store, 1, holders, 9, version=1, now=0.0, lifetime=3.0, subkey=1)
    found = dht.get(store, 1, holders, now=1.0)
    assert (found.value.tolist(), found.version.tolist()) == ([7, 9], [2, 1])
    assert dht.get(store, 1, holders, now=5.0).version.tolist() == [2, 0]  # one has expired
    assert dht.get(store, 0, holders, now=1.0).version.tolist() == [0, 0]
    assert dht.get(dht.expire(store, 11.0), 1, holders, now=0.0).version.tolist() == [0, 0]
    # Two of three holders are there: a majority, not all.
    for quorum, reached in (("one", True), ("majority", True), ("all", False)):
        answer = dht.get(store, 1, holders, now=1.0, alive=alive, quorum=quorum)
        assert bool(answer.reached) == reached
        assert (answer.version[0] == 2) == reached
    same, done = dht.put(
        store, 0, holders, 7, version=1, now=0.0, lifetime=1.0, alive=alive, quorum="all"
    )
    assert not bool(done)
    jax.tree.map(np.testing.assert_array_equal, same, store)


IDS = np.array([[1, 2], [3, 4]], np.uint32)


def small():
    return dht.routing_table(jax.random.key(0), IDS, k=1)


def write(**changed):
    given = {"version": 1, "now": 0.0, "lifetime": 1.0, **changed}
    return dht.put(dht.records(3, 2), given.pop("key", 0), given.pop("holders", [0]), 1, **given)


BAD = {
    "duplicates": (
        lambda: dht.routing_table(jax.random.key(0), np.ones((2, 5), np.uint32)),
        "ids: expected identifiers that differ.*duplicates",
    ),
    "one peer": (lambda: dht.routing_table(jax.random.key(0), IDS[:1]), "ids: expected"),
    "signed": (
        lambda: dht.routing_table(jax.random.key(0), IDS.astype(np.int32)),
        "ids: expected uint32 words",
    ),
    "no bucket": (lambda: dht.routing_table(jax.random.key(0), IDS, k=0), "k: expected"),
    "no words": (lambda: dht.random_ids(jax.random.key(0), 3, words=0), "words: expected"),
    "no bytes": (lambda: dht.content_id("text"), "content: expected"),
    "widths": (lambda: dht.distance(IDS, IDS[:, :1]), "second: expected 2 words"),
    "target": (lambda: dht.lookup(small(), IDS[:, :1], [0, 0]), "targets: expected"),
    "start": (lambda: dht.lookup(small(), IDS, [0, 2]), "starts: expected"),
    "alpha": (lambda: dht.lookup(small(), IDS, [0, 1], alpha=0), "alpha: expected"),
    "rounds": (lambda: dht.lookup(small(), IDS, [0, 1], max_rounds=0), "max_rounds: expected"),
    "alive": (lambda: dht.lookup(small(), IDS, [0, 1], alive=[True]), "alive: expected"),
    "table": (lambda: dht.lookup(IDS, IDS, [0, 1]), "table: expected"),
    "count": (lambda: dht.closest_peers(small(), IDS, 3), "count: expected"),
    "no keys": (lambda: dht.records(3, 0), "num_keys: expected"),
    "key": (lambda: write(key=2), "key: expected"),
    "holder": (lambda: write(holders=[3]), "holders: expected"),
    "subkey": (lambda: write(subkey=1), "subkey: expected"),
    "version": (lambda: write(version=0), "version: expected"),
    "lifetime": (lambda: write(lifetime=0.0), "lifetime: expected"),
    "time": (lambda: write(now=float("nan")), "now: expected"),
    "quorum": (lambda: write(quorum="two"), "quorum"),
    "store": (lambda: dht.expire(3, 0.0), "store: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
