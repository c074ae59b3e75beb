"""The benchmark of worlds measures the same work for every library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import worlds


@pytest.mark.slow
@jax.numpy_rank_promotion("allow")  # esquilax promotes
def test_esquilax_s_boids_are_ours():
    ((_, (ours, theirs)),) = list(worlds.boids(quick=True))
    key = jax.random.key(0)
    one, two = (jax.jit(runner.step)(key, runner.state)[0] for runner in (ours, theirs))
    np.testing.assert_allclose(one.positions, two.positions, atol=1e-4)


def test_rows_take_turns_and_say_what_they_measured():
    def step(key, state):
        return state + jax.random.normal(key, state.shape), jnp.sum(state)

    runners = [worlds.Runner(name, step, jnp.zeros(8), 8) for name in ("jaxswarm", "peer")]
    rows = worlds.measure(runners, seconds=0.01, repeats=3)
    assert [row["impl"] for row in rows] == ["jaxswarm", "peer"]
    for row in rows:
        assert row["agent_steps_per_s"] == pytest.approx(8 * row["steps_per_s"])
        assert row["compile_s"] > 0
    ratio = rows[0]["steps_per_s"] / rows[1]["steps_per_s"]
    assert 0.1 < ratio < 10
    shown = worlds.table([row | {"setting": "x", "ours_over_it": ratio} for row in rows])
    assert "agent-steps/s" in shown
