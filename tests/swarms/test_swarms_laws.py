"""Laws of motion: what is known of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import space, swarms
from jaxswarm.rollout import rollout

BOX = space.Space((5.0, 5.0))


def run(law, rounds, parameters=None, seed=0):
    first, second = jax.random.split(jax.random.key(seed))
    return jax.jit(lambda p: rollout(law.step, law.init(first), rounds, key=second, inputs=p))(
        parameters
    )


def test_vicsek_orders_at_low_noise_and_not_at_high():
    law = swarms.vicsek(BOX, 100)
    noise = jnp.array([0.3, 6.0])
    p = swarms.VicsekParameters(jnp.full(2, 0.1), noise, jnp.ones(2))
    _, records = jax.vmap(lambda p: run(law, 300, p))(p)
    low, high = np.asarray(records.info.polarisation)[:, -100:].mean(axis=1)
    assert low > 0.9
    assert high < 0.3


def test_kuramoto_locks_above_twice_the_width():
    def lorentzian(key):
        return 0.5 * jax.random.cauchy(key)

    law = swarms.kuramoto(2000, frequencies=lorentzian)
    below, above = (
        np.asarray(run(law, 800, swarms.KuramotoParameters(k, 0.0))[1].info.order)[-300:].mean()
        for k in (0.5, 2.0)
    )
    assert below < 0.15
    assert above == pytest.approx(np.sqrt(1.0 - 1.0 / 2.0), abs=0.06)  # r = sqrt(1 - K_c / K)


def test_cucker_smale_keeps_momentum_and_aligns():
    law = swarms.cucker_smale(BOX, 50, radius=100.0)
    start = law.init(jax.random.split(jax.random.key(0))[0])
    end, records = run(law, 300)
    np.testing.assert_allclose(end.velocities.mean(0), start.velocities.mean(0), atol=1e-5)
    assert records.info.polarisation[-1] > 0.99


def test_boids_align():
    _, records = run(swarms.boids(BOX, 100), 200)
    assert records.info.polarisation[-1] > 0.8
    assert int(records.info.overflow.max()) == 0


def test_a_speed_above_the_radius_is_refused():
    with pytest.raises(ValueError, match="speed"):
        swarms.vicsek(BOX, 10, speed=2.0)
    with pytest.raises(ValueError, match="num_agents"):
        swarms.vicsek(BOX, 0)
