"""Communication schedules: values, budgets, and a branch of their own for full rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxswarm import agents, gossip
from jaxswarm.gossip import communication_schedule, schedules

N = 8


def values(name, num_rounds=100, **options):
    schedule = communication_schedule(name, num_rounds, **options)
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(num_rounds)))


def test_shapes_of_the_schedules():
    np.testing.assert_allclose(values("fixed", r=0.2), 0.2)
    line = values("linear", start=1.0, end=3.0)
    np.testing.assert_allclose(np.diff(line), 0.02, atol=1e-6)
    assert line[0] == 1.0
    wave = values("cosine", start=4.0, end=0.0)
    assert wave[0] == 4.0
    assert wave[50] == pytest.approx(2.0, abs=1e-6)
    assert (np.diff(wave) < 0).all()
    decay = values("slow_decrease", start=4.0, end=1.0)
    np.testing.assert_allclose(decay, 1 + 3 * np.exp(-10 * np.arange(100) / 100), rtol=1e-6)
    np.testing.assert_array_equal(
        values("truncate", start=1.0, end=0.0, point=0.3), [1.0] * 30 + [0.0] * 70
    )


@pytest.mark.slow
@given(
    rounds=st.integers(2, 400),
    point=st.floats(0.0, 1.0),
    width=st.floats(0.0, 1.0, exclude_min=True),
)
def test_a_window_costs_the_same_wherever_it_stands(rounds, point, width):
    point = min(point, 1.0 - width)
    schedule = communication_schedule(
        "dense_window", rounds, start=0.25, dense=7.0, point=point, width=width
    )
    dense = np.flatnonzero(schedule.values == 7.0)
    assert len(dense) == max(round(width * rounds), 1)
    assert dense[-1] - dense[0] == len(dense) - 1
    assert abs(dense[0] - point * rounds) <= 1.0


@given(rounds=st.integers(1, 400), point=st.floats(0.0, 1.0, exclude_max=True))
@pytest.mark.slow
def test_a_truncation_before_the_end_has_a_round_to_act(rounds, point):
    schedule = communication_schedule("truncate", rounds, start=0.25, end=7.0, point=point)
    dense = np.flatnonzero(schedule.values == 7.0)
    assert len(dense) == max(rounds - round(point * rounds), 1)


def test_the_paper_preset_merges_once():
    schedule = communication_schedule("truncate", 300, start=0.2, end=31.0, point=0.997)
    np.testing.assert_array_equal(np.flatnonzero(schedule.values == 31.0), [299])


@pytest.mark.slow
def test_a_sweep_over_schedules_compiles_once(key):
    x = jax.random.normal(key, (N, 4))
    traced = []

    def sent(schedule, maximum=None):
        traced.append(None)
        rule = gossip.random_gossip(N, schedule, maximum=maximum)
        rounds = [rule.mix(key, x, rule.init(x), gossip.Exchange(t))[2] for t in range(4)]
        return jnp.stack([traffic.messages for traffic in rounds])

    run = jax.jit(lambda schedule: sent(schedule, maximum=2))
    for name in ("linear", "cosine", "slow_decrease"):
        schedule = communication_schedule(name, 4, start=2.0, end=0.0)
        compiled = run(schedule)
        assert float(compiled[0]) == 2 * N  # not clipped to one neighbour
        np.testing.assert_array_equal(compiled, sent(schedule))
    assert len(traced) == 1 + 3


def test_random_gossip_follows_its_schedule(key):
    window = communication_schedule("dense_window", 10, start=0.5, dense=7.0, point=0.5, width=0.1)
    rule = gossip.random_gossip(N, window)
    x = jax.random.normal(key, (N, 4))
    step = jax.jit(rule.mix)
    state, sent, apart = rule.init(x), [], []
    for index in range(10):
        x, state, traffic = step(
            jax.random.fold_in(key, index), x, state, gossip.Exchange(jnp.int32(index))
        )
        sent.append(float(traffic.messages))
        apart.append(float(agents.disagreement(x)))
    assert sent[5] == N * (N - 1)
    assert apart[5] < 1e-12
    assert 0 < sum(sent[:5]) + sum(sent[6:]) < 9 * N
    assert apart[4] > 1e-3


def test_constant_rates_need_no_schedule(key):
    x = jax.random.normal(key, (N, 4))
    full, _, traffic = jax.jit(gossip.random_gossip(N, N - 1).mix)(key, x, (), gossip.Exchange(0))
    np.testing.assert_allclose(full, np.broadcast_to(x.mean(axis=0), x.shape), atol=1e-6)
    assert float(traffic.messages) == N * (N - 1)
    _, _, traffic = jax.jit(gossip.random_gossip(N, 2).mix)(key, x, (), gossip.Exchange(0))
    assert float(traffic.messages) == 2 * N


BAD = {
    "name": (lambda: communication_schedule("cosin", 10, start=1.0, end=0.0), "mean 'cosine'"),
    "rounds": (lambda: communication_schedule("fixed", 0, r=1.0), "num_rounds"),
    "negative": (lambda: schedules.fixed(-0.1), "r: expected"),
    "nan": (lambda: schedules.linear(float("nan"), 1.0), "start"),
    "outside": (lambda: schedules.dense_window(0.2, 7.0, point=1.2, width=0.1), "point"),
    "infinite": (lambda: schedules.fixed(float("inf")), "r: expected"),
    "late": (
        lambda: communication_schedule(
            "dense_window", 50, start=0.2, dense=7.0, point=0.96, width=0.05
        ),
        "window inside the run",
    ),
    "option": (
        lambda: communication_schedule("fixed", 10, start=1.0),
        "unknown option of communication schedule 'fixed' 'start'",
    ),
    "missing": (lambda: communication_schedule("truncate", 10, start=1.0, end=0.0), "point: "),
    "scheduled too many": (
        lambda: gossip.random_gossip(N, communication_schedule("fixed", 10, r=N + 0.5)),
        "r: expected at most N - 1",
    ),
    "function": (lambda: gossip.random_gossip(N, lambda index: 0.5), "maximum"),
    "too many": (lambda: gossip.random_gossip(N, N + 0.5), "count"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
