"""Communication schedules: values, budgets, and a branch of their own for full rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize("point", [0.0, 0.1, 0.5, 0.9, 0.95])
def test_a_window_spends_the_same_wherever_it_stands(point):
    r = values("dense_window", 60, start=0.2, dense=7.0, point=point, width=0.05)
    np.testing.assert_allclose(r.sum(), 57 * 0.2 + 3 * 7.0, rtol=1e-6)
    assert np.argmax(r) == round(60 * point)


def test_random_gossip_follows_its_schedule(key):
    everyone = communication_schedule(
        "dense_window", 10, start=0.5, dense=7.0, point=0.5, width=0.1
    )
    rule = gossip.random_gossip(N, everyone)
    x = jax.random.normal(key, (N, 4))
    step = jax.jit(rule.mix)
    state, sent, apart = rule.init(x), [], []
    for index in range(10):
        x, state, traffic = step(
            jax.random.fold_in(key, index), x, state, gossip.Round(jnp.int32(index))
        )
        sent.append(float(traffic.messages))
        apart.append(float(agents.disagreement(x)))
    assert sent[5] == N * (N - 1)
    assert apart[5] < 1e-12
    assert 0 < sum(sent[:5]) + sum(sent[6:]) < 9 * N
    assert apart[4] > 1e-3


def test_constant_rates_need_no_schedule(key):
    x = jax.random.normal(key, (N, 4))
    full, _, traffic = gossip.random_gossip(N, N - 1).mix(key, x, (), gossip.Round(0))
    np.testing.assert_allclose(full, np.broadcast_to(x.mean(axis=0), x.shape), atol=1e-6)
    assert float(traffic.messages) == N * (N - 1)
    _, _, traffic = gossip.random_gossip(N, 2).mix(key, x, (), gossip.Round(0))
    assert float(traffic.messages) == 2 * N


BAD = {
    "name": (lambda: communication_schedule("cosin", 10, start=1.0, end=0.0), "mean 'cosine'"),
    "rounds": (lambda: communication_schedule("fixed", 0, r=1.0), "num_rounds"),
    "negative": (lambda: schedules.fixed(-0.1), "r: expected"),
    "nan": (lambda: schedules.linear(float("nan"), 1.0), "start"),
    "outside": (lambda: schedules.dense_window(0.2, 7.0, point=1.2, width=0.1), "point"),
    "too many": (lambda: gossip.random_gossip(N, N + 0.5), "count"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
