"""Message queues against plain deques."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxswarm import coordination
from jaxswarm.coordination import empty_queues, pop, push

QUEUES, CAPACITY, BATCH, MOST = 3, 4, 5, 2
PUSH = jax.jit(push)
POP = jax.jit(pop, static_argnames="most")

pushes = st.lists(
    st.tuples(st.integers(0, QUEUES - 1), st.booleans(), st.integers(0, 3)),
    min_size=BATCH,
    max_size=BATCH,
)
turns = st.lists(
    st.tuples(pushes, st.lists(st.integers(0, MOST), min_size=QUEUES, max_size=QUEUES)),
    min_size=1,
    max_size=8,
)


@pytest.mark.slow
@given(turns)
def test_queues_are_deques_that_count_what_they_drop(turns):
    ours = empty_queues(QUEUES, CAPACITY, {"id": jnp.int32(0)})
    theirs, dropped, number = [deque() for _ in range(QUEUES)], [0] * QUEUES, 0
    for now, (batch, counts) in enumerate(turns):
        ids = np.arange(number, number + BATCH, dtype=np.int32)
        number += BATCH
        owner, active, wait = (np.array(column) for column in zip(*batch, strict=True))
        due = np.float32(now) + wait
        ours = PUSH(ours, jnp.asarray(owner, jnp.int32), {"id": ids}, active, due)
        for q, a, i, d in zip(owner, active, ids, due, strict=True):
            if a and len(theirs[q]) < CAPACITY:
                theirs[q].append((i, d))
            elif a:
                dropped[q] += 1
        ours, got, taken = POP(ours, float(now), jnp.array(counts, jnp.int32), most=MOST)
        for q in range(QUEUES):
            want = []
            while theirs[q] and len(want) < counts[q] and theirs[q][0][1] <= now:
                want.append(theirs[q].popleft()[0])
            assert list(np.asarray(got["id"][q])[np.asarray(taken[q])]) == want
        np.testing.assert_array_equal(ours.size, [len(q) for q in theirs])
        np.testing.assert_array_equal(ours.dropped, dropped)


def test_a_message_that_is_not_due_blocks_those_behind_it():
    queue = empty_queues(1, 4, jnp.int32(0))
    queue = push(queue, jnp.zeros(2, jnp.int32), jnp.array([7, 8]), jnp.ones(2, bool), [5.0, 1.0])
    same, _, early = pop(queue, 2.0, 2, most=2)
    assert not early.any()
    assert int(same.size[0]) == 2
    _, got, taken = pop(queue, 5.0, 2, most=2)
    assert taken.all()
    np.testing.assert_array_equal(got[0], [7, 8])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: empty_queues(0, 4, 0), "num_queues: expected a whole number of at least 1, got 0"),
        (lambda: empty_queues(2, 0, 0), "capacity: expected a whole number of at least 1, got 0"),
        (
            lambda: pop(empty_queues(2, 4, 0), 0.0, most=5),
            r"most: expected a whole number in \[1, 4\]",
        ),
    ],
)
def test_bad_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_package_exports_them():
    assert {"Queues", "empty_queues", "push", "pop"} <= set(coordination.__all__)
