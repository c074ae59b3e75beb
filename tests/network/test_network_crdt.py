"""Replicated data: laws of merging on reachable states, a slow oracle, anti-entropy, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, network, topology
from jaxswarm.network import crdt

R, K = 3, 4  # replicas that write, elements or keys
OPERATIONS = 14


def counter_operation(kind):
    return lambda state, key, replica, clock: kind.add(
        state, replica, jax.random.randint(key, (), 0, 5)
    )


def pn_operation(kind):
    return lambda state, key, replica, clock: kind.add(
        state, replica, jax.random.randint(key, (), -5, 5)
    )


def written(kind, state, key, replica, clock):
    value_key, choice_key = jax.random.split(key)
    wrote = kind.write(state, jax.random.randint(value_key, (2,), 0, 9), clock, replica)
    deleted = kind.delete(state, clock, replica)
    gone = jax.random.bernoulli(choice_key, 0.3)
    return jax.tree.map(lambda x, y: jnp.where(gone, x, y), deleted, wrote)


def register_operation(kind):
    return lambda *arguments: written(kind, *arguments)


def keyed_operation(kind):
    register = crdt.lww_register(jnp.zeros(2, jnp.int32))

    def apply(state, key, replica, clock):
        at = jax.random.randint(key, (), 0, K)
        return kind.update(state, at, lambda entry: written(register, entry, key, replica, clock))

    return apply


def set_operation(kind):
    def apply(state, key, replica, clock):
        element_key, choice_key = jax.random.split(key)
        element = jax.random.randint(element_key, (), 0, K)
        removes = jax.random.bernoulli(choice_key, 0.4)
        return jax.tree.map(
            lambda x, y: jnp.where(removes, x, y),
            kind.remove(state, element),
            kind.add(state, element, replica),
        )

    return apply


KINDS = {
    "g_counter": (lambda: crdt.g_counter(R), counter_operation),
    "pn_counter": (lambda: crdt.pn_counter(R), pn_operation),
    "lww_register": (lambda: crdt.lww_register(jnp.zeros(2, jnp.int32)), register_operation),
    "keyed": (
        lambda: crdt.keyed(crdt.lww_register(jnp.zeros(2, jnp.int32)), K),
        keyed_operation,
    ),
    "or_set": (lambda: crdt.or_set(K, R), set_operation),
}


@pytest.fixture(scope="module", params=KINDS)
def history(request):
    """A kind, all states of a random history of operations and merges, and those after them."""
    make, operation = KINDS[request.param]
    kind = make()
    apply = operation(kind)

    def step(carry, key):
        states, clocks = carry
        who_key, from_key, merge_key, key = jax.random.split(key, 4)
        replica, other = (jax.random.randint(k, (), 0, R) for k in (who_key, from_key))
        own = jax.tree.map(lambda x: x[replica], states)
        clock = jax.tree.map(lambda x: x[replica], clocks)
        # All wall clocks stand still at 0: only logical times and writers order writes.
        theirs = jax.tree.map(lambda x: x[other], clocks)
        merges = jax.random.bernoulli(merge_key, 0.4)
        received, _ = crdt.receive(clock, theirs, 0)
        clock = jax.tree.map(lambda x, y: jnp.where(merges, x, y), received, crdt.tick(clock, 0))
        merged = kind.merge(own, jax.tree.map(lambda x: x[other], states))
        new = jax.tree.map(
            lambda x, y: jnp.where(merges, x, y), merged, apply(own, key, replica, clock)
        )
        states = jax.tree.map(lambda x, y: x.at[replica].set(y), states, new)
        clocks = jax.tree.map(lambda x, y: x.at[replica].set(y), clocks, clock)
        return (states, clocks), (own, new)

    def run(key):
        start = (
            crdt.replicas(kind, R),
            jax.tree.map(lambda x: jnp.broadcast_to(x, (R,)), crdt.clock()),
        )
        return jax.lax.scan(step, start, jax.random.split(key, OPERATIONS))[1]

    before, after = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(7), 8))
    return kind, before, after


def pairs(states):
    """All pairs of states of each history, leaves ``[8 * T * T, …]``."""
    t = OPERATIONS
    one = jax.tree.map(lambda x: jnp.repeat(x, t, 1).reshape(-1, *x.shape[2:]), states)
    other = jax.tree.map(lambda x: jnp.tile(x, (1, t, *([1] * (x.ndim - 2)))), states)
    return one, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), other)


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_merging_is_commutative_associative_and_idempotent(history):
    kind, _, states = history

    @jax.jit
    def merged(states):
        one, other = pairs(states)
        shape = (8, OPERATIONS**2)
        third = jax.tree.map(  # further states of the same history
            lambda x: jnp.roll(x.reshape(*shape, *x.shape[1:]), 5, 1).reshape(x.shape), one
        )
        merge = jax.vmap(kind.merge)
        both = merge(one, other)
        return {
            "commutative": (both, merge(other, one)),
            "idempotent": (merge(one, one), one),
            "associative": (merge(both, third), merge(one, merge(other, third))),
        }

    for law in merged(states).values():
        assert_equal(*law)


def test_an_operation_adds_to_what_was_known(history):
    kind, before, after = history
    merge = jax.jit(jax.vmap(jax.vmap(kind.merge)))
    assert_equal(merge(after, before), after)


def test_anti_entropy_ends_in_the_merge_of_all(history):
    kind, _, states = history
    n = OPERATIONS
    held = jax.tree.map(lambda x: x[0], states)  # n replicas with the states of one history
    everything = jax.tree.map(lambda x: x[0], held)
    for i in range(1, n):
        everything = kind.merge(everything, jax.tree.map(lambda x, i=i: x[i], held))
    graph = topology.ring(n)
    rule, faults = crdt.anti_entropy(kind, graph), network.link_loss(graph, 0.5)

    @jax.jit
    def run(key, states):
        def step(carry, index):
            fault_key, mix_key = jax.random.split(jax.random.fold_in(key, index))
            _, exchange = faults.step(fault_key, (), index)
            carry, _, traffic = rule.mix(mix_key, carry, (), exchange)
            return carry, traffic.bytes

        return jax.lax.scan(step, states, jnp.arange(40))

    final, sent = run(jax.random.key(0), held)
    assert float(crdt.agreement(final)) == 1.0
    assert_equal(jax.tree.map(lambda x: x[0], final), everything)
    assert len(set(np.asarray(crdt.fingerprint(final)).tolist())) == 1
    assert sent[-1] < sent[0]  # at last only versions are sent


def test_counts_and_sets_equal_python_s():
    """A slow oracle: histories as Python sets of operations, each replica with those it saw."""
    rng = np.random.default_rng(0)
    counter, kind = crdt.pn_counter(R), crdt.or_set(K, R)
    counts, sets = [counter.init()] * R, [kind.init()] * R
    seen = [set() for _ in range(R)]  # amounts by operation
    added, removed = [set() for _ in range(R)], [set() for _ in range(R)]
    for number in range(60):
        replica, other, element = (int(rng.integers(k)) for k in (R, R, K))
        amount, choice = int(rng.integers(-4, 5)), rng.random()
        if choice < 0.4:
            counts[replica] = counter.merge(counts[replica], counts[other])
            sets[replica] = kind.merge(sets[replica], sets[other])
            for known in (seen, added, removed):
                known[replica] = known[replica] | known[other]
        elif choice < 0.8:
            counts[replica] = counter.add(counts[replica], replica, amount)
            sets[replica] = kind.add(sets[replica], element, replica)
            seen[replica] = seen[replica] | {(number, amount)}
            # An addition replaces those of the same element that its replica has seen.
            removed[replica] = removed[replica] | {a for a in added[replica] if a[1] == element}
            added[replica] = added[replica] | {(number, element)}
        else:
            sets[replica] = kind.remove(sets[replica], element)
            removed[replica] = removed[replica] | {a for a in added[replica] if a[1] == element}
        assert int(counter.read(counts[replica])) == sum(amount for _, amount in seen[replica])
        held = {element for _, element in added[replica] - removed[replica]}
        assert set(np.flatnonzero(kind.read(sets[replica])).tolist()) == held


def test_without_tie_break_replicas_diverge_and_with_it_they_agree():
    graph = topology.complete(4)
    for tie_break in (True, False):
        kind = crdt.lww_register(jnp.int32(0), tie_break=tie_break)
        clocks = jax.tree.map(lambda x: jnp.broadcast_to(x, (4,)), crdt.tick(crdt.clock(), 3))
        own = jnp.arange(4)
        states = jax.vmap(kind.write)(crdt.replicas(kind, 4), own, clocks, own)
        rule = crdt.anti_entropy(kind, graph)
        for index in range(3):
            states, _, _ = rule.mix(jax.random.key(index), states, (), gossip.Exchange(index))
        assert (float(crdt.agreement(states)) == 1.0) == tie_break


def test_random_peers_absence_delay_and_bytes():
    n, kind = 16, crdt.g_counter(16)
    states = jax.vmap(kind.add)(crdt.replicas(kind, n), jnp.arange(n))
    rule = crdt.anti_entropy(kind, gossip.random_neighbors(n, 1))
    alive = jnp.arange(n) != 5
    new, _, traffic = rule.mix(jax.random.key(0), states, (), gossip.Exchange(0, alive=alive))
    assert_equal(new[5], states[5])
    read = jax.vmap(kind.read)(new)
    assert float(traffic.messages) <= n - 1
    assert np.all(read[np.arange(n) != 5] <= 2)
    # Each message asks with a version of 16 counts and brings one entry with its index.
    assert float(traffic.bytes) == float(traffic.messages) * (16 * 4 + 8)
    whole = crdt.anti_entropy(kind, topology.ring(n), delta=False)
    _, _, traffic = whole.mix(jax.random.key(0), states, (), gossip.Exchange(0))
    assert (float(traffic.messages), float(traffic.bytes)) == (32, 32 * 64)


def test_late_messages_are_merged_late():
    n, kind = 4, crdt.g_counter(4)
    states = jax.vmap(kind.add)(crdt.replicas(kind, n), jnp.arange(n))
    rule = gossip.delayed(crdt.anti_entropy(kind, topology.complete(n)), 2)
    late, counts = rule.init(crdt.replicas(kind, n)), []
    for index in range(4):
        states, late, _ = rule.mix(jax.random.key(index), states, late, gossip.Exchange(index))
        counts.append(int(kind.read(states[0])))
    assert counts == [1, 1, 4, 4]


def test_one_replica_keeps_its_state():
    kind = crdt.g_counter(1)
    states = jax.vmap(kind.add)(crdt.replicas(kind, 1), jnp.arange(1))
    rule = crdt.anti_entropy(kind, topology.complete(1))
    new, _, traffic = rule.mix(jax.random.key(0), states, (), gossip.Exchange(0))
    assert_equal(new, states)
    assert float(traffic.messages) == 0


def test_clocks_grow_whatever_the_wall_clock_does():
    own, last = crdt.clock(), (-1, -1)
    for wall in (3, 3, 1, 9, 0, 9):
        own = crdt.tick(own, wall)
        assert (int(own.wall), int(own.logical)) > last
        last = (int(own.wall), int(own.logical))
    sent = crdt.Clock(jnp.int32(20), jnp.int32(4))
    new, accepted = crdt.receive(own, sent, 11, bound=10)
    assert bool(accepted)
    assert (int(new.wall), int(new.logical)) == (20, 5)
    new, accepted = crdt.receive(own, sent, 9, bound=10)
    assert not bool(accepted)
    assert_equal(new, own)


def test_versions_are_compared_as_sets_of_events():
    compare = crdt.compare_versions
    assert int(compare([1, 2], [1, 2])) == crdt.EQUAL
    assert int(compare([1, 1], [1, 2])) == crdt.BEFORE
    assert int(compare([1, 2], [0, 2])) == crdt.AFTER
    assert compare([[1, 0], [0, 1]], [[0, 1], [0, 1]]).tolist() == [crdt.CONCURRENT, crdt.EQUAL]


def test_fingerprints_tell_states_and_positions_apart():
    states = jnp.array([[1, 2], [2, 1], [1, 2], [1, 3]], jnp.int32)
    found = np.asarray(crdt.fingerprint(states))
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3


REGISTER = lambda: crdt.lww_register(0)  # noqa: E731
BAD = {
    "no replicas": (lambda: crdt.g_counter(0), "num_replicas: expected"),
    "half a replica": (lambda: crdt.pn_counter(1.5), "num_replicas: expected"),
    "unknown replica": (
        lambda: crdt.g_counter(2).add(crdt.g_counter(2).init(), 2),
        r"replica: expected whole numbers in \[0, 1\], got 2",
    ),
    "shrinking": (
        lambda: crdt.g_counter(2).add(crdt.g_counter(2).init(), 0, -1),
        "amount: expected",
    ),
    "no elements": (lambda: crdt.or_set(0, 2), "num_elements: expected"),
    "unknown element": (
        lambda: crdt.or_set(2, 2).remove(crdt.or_set(2, 2).init(), 5),
        "element: expected",
    ),
    "no value": (lambda: crdt.lww_register(()), "value: expected a pytree with arrays"),
    "tie break": (lambda: crdt.lww_register(0, tie_break=1), "tie_break: expected"),
    "other shape": (
        lambda: REGISTER().write(REGISTER().init(), np.zeros(3), crdt.clock(), 0),
        "value: expected",
    ),
    "other structure": (
        lambda: REGISTER().write(REGISTER().init(), {"a": 1}, crdt.clock(), 0),
        "value: expected the structure",
    ),
    "no clock": (lambda: REGISTER().write(REGISTER().init(), 1, 3, 0), "clock: expected"),
    "no time": (lambda: crdt.tick(crdt.clock(), -1), "wall: expected"),
    "a fraction of time": (lambda: crdt.tick(crdt.clock(), 0.5), "wall: expected"),
    "no entry": (lambda: crdt.keyed(3, 2), "entry: expected replicated data"),
    "no keys": (lambda: crdt.keyed(REGISTER(), 0), "num_keys: expected"),
    "no kind": (lambda: crdt.anti_entropy(3, topology.ring(3)), "kind: expected"),
    "no graph": (lambda: crdt.anti_entropy(REGISTER(), 3), "neighbors: expected"),
    "delta": (
        lambda: crdt.anti_entropy(REGISTER(), topology.ring(3), delta=None),
        "delta: expected",
    ),
    "other number": (
        lambda: crdt.anti_entropy(REGISTER(), topology.ring(3)).mix(
            jax.random.key(0), crdt.replicas(REGISTER(), 4), (), gossip.Exchange(0)
        ),
        "params: expected 3 replicas as neighbors has, got 4",
    ),
    "versions": (lambda: crdt.compare_versions([1, 2], [1]), "second: expected the shape"),
    "no versions": (lambda: crdt.compare_versions([0.5], [1]), "first: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
