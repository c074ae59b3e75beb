"""The game of one informed agent: what edges are worth, by counting and by playing."""

import itertools

import jax
import numpy as np
import pytest

from experiments.bn_actor_critic.games import Informed, informed_values
from jaxswarm.envs import conformance


@pytest.mark.parametrize("n", [2, 3])
def test_values_of_edges_are_those_of_the_best_plans(n):
    """All deterministic plans: functions of the right action where it reaches the agent."""
    best = {"independent": 0.0, "full": 0.0, "learnt": 0.0}
    reaches = {
        "independent": lambda i, informed: i == informed,
        "full": lambda i, informed: i >= informed,  # through a parent's action
        "learnt": lambda i, informed: True,
    }
    for graph, reached in reaches.items():
        total = 0.0
        for informed, i in itertools.product(range(n), range(n)):
            plans = itertools.product(range(2), repeat=2 if reached(i, informed) else 1)
            total += max(np.mean([plan[right % len(plan)] == right for right in range(2)])
                         for plan in plans)  # fmt: skip
        best[graph] = total / n / n
    assert best == pytest.approx(informed_values(n))


def test_only_the_informed_agent_observes_the_right_action():
    env = Informed(4)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    seen, informed = first.observation.right.sum(axis=1), int(state.world.informed)
    np.testing.assert_array_equal(seen, np.eye(4)[informed])
    right = int(state.world.right)
    assert int(first.observation.right[informed].argmax()) == right
    _, after = jax.jit(env.step)(state, np.array([right, right, right, 1 - right]))
    np.testing.assert_allclose(after.reward, 0.75)


@pytest.mark.slow
def test_the_game_passes_the_battery_of_environments():
    conformance.check(Informed, symmetric=False)
