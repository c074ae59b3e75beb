"""Exchange of blocks: scores against a slow oracle, bytes and times of requests, bad input."""

import jax
import numpy as np
import pytest

from jaxswarm.network import blocks, dht

P = 12


def slow_score(events, now):
    """Score of one peer from its events ``(served, speed, time)``, in plain Python."""
    if not events:
        return 55.0
    speeds = [speed for served, speed, _ in events if served][-10:]
    levels = [min(max((np.log10(s) - 3) / 5, 0), 1) for s in speeds]
    speed = float(np.mean(levels)) if levels else 0.0
    success = sum(served for served, _, _ in events) / len(events)
    streak = failures = 0
    for served, _, _ in events:
        streak, failures = (streak + 1, 0) if served else (0, failures + 1)
    stable = 0.0 if failures > 3 else min(streak / 10, 1.0)
    heard = max((time for served, _, time in events if served), default=0.0)
    decay = 1 - 0.3 * min(max((now - heard) / 600, 0), 1)
    return 100 * (0.5 * speed + 0.35 * success + 0.15 * stable) * decay


def test_scores_are_those_of_all_events():
    rng, kept, events = np.random.default_rng(0), blocks.history(P), [[] for _ in range(P)]
    step = jax.jit(blocks.remembered)
    likely = np.linspace(0.2, 1.0, P)  # so that some have long rows of failures or successes
    for time in range(30):
        asked = rng.random(P) < 0.6
        asked[0] = False  # a new peer
        served = asked & (rng.random(P) < likely)
        speed = 10.0 ** rng.uniform(2.0, 9.0, P)
        kept = step(kept, asked, served, speed.astype(np.float32), 10.0 * time)
        for peer in np.flatnonzero(asked):
            events[peer].append((served[peer], speed[peer], 10.0 * time))
    for now in (300.0, 500.0, 5000.0):
        wanted = [slow_score(known, now) for known in events]
        np.testing.assert_allclose(blocks.scores(kept, now), wanted, rtol=1e-4)


def world():
    rng = np.random.default_rng(1)
    return {
        "have": rng.random(P) < 0.7,
        "round_trip": rng.uniform(0.02, 0.2, P).astype(np.float32),
        "bandwidth": (10.0 ** rng.uniform(5.0, 8.0, P)).astype(np.float32),
        "size": 1e6,
    }


def run(top, count=60, failure=0.0):
    given = world()

    def step(kept, key):
        return blocks.fetch(key, kept, **given, top=top, failure=failure)

    return jax.jit(lambda keys: jax.lax.scan(step, blocks.history(P), keys))(
        jax.random.split(jax.random.key(0), count)
    )


def test_few_requests_cost_few_bytes_and_find_the_fast_peers():
    (kept, few), (_, many) = run(3), run(None)
    holders = int(world()["have"].sum())
    assert few.copies.tolist() == [3] * 60
    assert many.copies.tolist() == [holders] * 60
    assert float(few.bytes.sum()) < 0.6 * float(many.bytes.sum())
    # Scores rank those that answer in time by their speed.
    given, often = world(), np.flatnonzero(np.asarray(kept.asked) >= 10)
    speed = 1e6 / (given["round_trip"] + 1e6 / given["bandwidth"])
    found = np.asarray(blocks.scores(kept, 0.0))
    assert len(often) >= 3
    np.testing.assert_array_equal(np.argsort(found[often]), np.argsort(speed[often]))
    assert not kept.asked[~world()["have"]].any()


def test_copies_share_the_downlink_and_those_that_are_slower_leave_theirs_to_others():
    given = {"have": np.ones(3, bool), "round_trip": np.full(3, 0.1, np.float32), "size": 1e6}
    speed = np.float32([1e5, 2e6, 4e6])

    def took(**options):
        kept, found = blocks.fetch(
            jax.random.key(0),
            blocks.history(3),
            bandwidth=speed,
            jitter=0.0,
            top=None,
            **given,
            **options,
        )
        return 1e6 / np.asarray(kept.speeds[:, 0]) - 0.1, found

    alone, _ = took()
    np.testing.assert_allclose(alone, 1e6 / speed, rtol=1e-4)
    shared, found = took(downlink=2.1e6)  # 1e5 for the slowest, 1e6 for each of the others
    np.testing.assert_allclose(shared, [10.0, 1.0, 1.0], rtol=1e-4)
    assert float(found.seconds) == pytest.approx(1.1, rel=1e-4)


def test_a_longer_wait_finds_fast_peers_that_answer_late():
    trip = np.float32([0.02] * 7 + [0.3])
    speed = np.float32([1e4] * 7 + [1e7])
    given = {"have": np.ones(8, bool), "round_trip": trip, "bandwidth": speed, "size": 1e5}

    def asked(**options):
        def step(kept, key):
            return blocks.fetch(key, kept, jitter=0.0, top=3, **given, **options)

        keys = jax.random.split(jax.random.key(0), 9)
        return jax.jit(lambda keys: jax.lax.scan(step, blocks.history(8), keys)[0].asked)(keys)

    assert int(asked()[7]) == 0
    assert int(asked(wait=2.0, answered=1.0)[7]) > 3


def test_three_that_serve_well_enough_keep_peers_without_a_history_from_being_asked():
    speed = np.float32([1e5] * 3 + [1e8] * 5)  # 56.5 points after one success; a new peer has 55
    step = jax.jit(
        lambda kept, key, newcomer: blocks.fetch(
            key, kept, np.ones(8, bool), np.full(8, 0.05, np.float32), speed, size=1e5, jitter=0.0,
            answered=1.0, newcomer=newcomer,
        )
    )  # fmt: skip

    def asked(newcomer):
        kept = blocks.history(8)
        for key in jax.random.split(jax.random.key(0), 6):
            kept, _ = step(kept, key, newcomer)
        return kept.asked.tolist()

    assert asked(55.0) == [6, 6, 6, 0, 0, 0, 0, 0]
    assert min(asked(100.0)[3:]) >= 1


def test_failed_peers_are_replaced_and_no_peer_sends_what_it_lacks():
    _, found = run(1, failure=np.full(P, 0.9))
    served = np.asarray(found.served)
    assert 0.3 < served.mean() < 1.0
    assert np.isinf(np.asarray(found.seconds)[~served]).all()
    given = {**world(), "have": np.zeros(P, bool)}
    kept, none = blocks.fetch(jax.random.key(0), blocks.history(P), **given)
    assert not bool(none.served)
    assert int(kept.asked.sum()) == 0
    assert float(none.bytes) == 40 * P


def test_blocks_are_checked_by_their_hash():
    name = dht.content_id(b"a block")
    assert blocks.check_block(b"a block", name) == b"a block"
    with pytest.raises(ValueError, match="content: expected a block with the hash"):
        blocks.check_block(b"another", name)


def call(**changed):
    return blocks.fetch(jax.random.key(0), blocks.history(P), **{**world(), **changed})


BAD = {
    "no peers": (lambda: blocks.history(0), "num_peers: expected"),
    "no history": (lambda: blocks.scores(3, 0.0), "kept: expected"),
    "time": (lambda: blocks.scores(blocks.history(2), float("inf")), "now: expected"),
    "have": (lambda: call(have=np.ones(3, bool)), "have: expected"),
    "round trip": (lambda: call(round_trip=np.zeros(P)), "round_trip: expected"),
    "bandwidth": (lambda: call(bandwidth=np.ones(3)), "bandwidth: expected"),
    "size": (lambda: call(size=0.0), "size: expected"),
    "failure": (lambda: call(failure=1.5), "failure: expected"),
    "top": (lambda: call(top=0), "top: expected"),
    "jitter": (lambda: call(jitter=-1.0), "jitter: expected"),
    "newcomer": (lambda: call(newcomer=float("nan")), "newcomer: expected"),
    "wait": (lambda: call(wait=0.0), "wait: expected"),
    "answered": (lambda: call(answered=1.5), "answered: expected"),
    "downlink": (lambda: call(downlink=0.0), "downlink: expected"),
    "text": (lambda: blocks.check_block("text", [1, 2]), "content: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
