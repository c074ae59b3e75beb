"""Every public function of tabular reinforcement learning refuses bad input by name."""

import jax
import numpy as np
import pytest

from jaxswarm.rl import tabular
from tests.later import Later
from tests.rl.bad_input import (
    COUNT,
    FLAG,
    KEY,
    NAN,
    NUMBER,
    OBJECT,
    SHARE,
    SIZE,
    THING,
    accepted,
    with_defaults,
)

MDP = jax.tree.map(np.asarray, tabular.combination_lock(2, 2))
UNIFORM = np.asarray(tabular.uniform_policy(MDP))
ROWS = tabular.Transitions([0, 1], [0, 0], [1, 0], [0.0, 1.0], [0, 1])
SUMS = Later(lambda: tabular.sums_of(MDP))
COUNTS = Later(lambda: tabular.counts_of(MDP))
KEY0 = jax.random.key(0)
TABLES = np.ones((1, 2, 2, 2))


PROCESS = (*OBJECT, MDP._replace(reward=MDP.reward[0]), MDP._replace(start=MDP.start[:1]))
POLICY = (None, 3, "x", UNIFORM[0], 0.4 * UNIFORM, np.full(UNIFORM.shape, NAN))
ROW = (
    *THING, ROWS._replace(step=None), ROWS._replace(step=[0, 2]), ROWS._replace(state=[0, -1]),
    ROWS._replace(action=[0.5, 0]), ROWS._replace(reward=[0.0, 1.5]), ROWS._replace(next_state=[0]),
)  # fmt: skip
TABLE = (None, "x", TABLES[0], TABLES * NAN)
BONUS = (*NUMBER, -1.0)
POSITIVE = (*NUMBER, 0.0, -1.0)
LIMIT = tuple(x for x in (*POSITIVE, 0.5) if x is not None)
CRITIC = {"mdp": PROCESS, "bonus": BONUS, "ridge": POSITIVE, "on_policy": FLAG, "max_return": LIMIT}
CASES = {
    "episodic_mdp": (
        with_defaults(tabular.episodic_mdp, transition=MDP.transition, reward=MDP.reward),
        {
            "transition": (*OBJECT, MDP.transition[0], 0.5 * MDP.transition),
            "reward": (*OBJECT, MDP.reward[0], MDP.reward + 1.0, MDP.reward * NAN),
            "start": ([0.4, 0.4], [1.0], "x", [NAN, 1.0]),
            "features": (np.ones((2, 2)), np.full((2, 2, 3), 0.9), "x", np.full((2, 2, 1), NAN)),
        },
    ),
    "combination_lock": (
        tabular.combination_lock,
        {"horizon": SIZE, "num_actions": (*SIZE, 1), "slip": SHARE, "distractor": SHARE}
        | {"code": ([0] * 7, [9] * 8, [0.5] * 8, "x"), "seed": COUNT},
    ),
    "river_swim": (tabular.river_swim, {"num_states": (*SIZE, 1), "horizon": SIZE}),
    "deep_sea": (tabular.deep_sea, {"size": (*SIZE, 1), "seed": COUNT}),
    "random_linear_mdp": (
        with_defaults(tabular.random_linear_mdp, num_features=4),
        {"num_states": SIZE, "num_actions": SIZE, "horizon": SIZE}
        | {"num_features": (*SIZE, 99), "seed": COUNT},
    ),
    "require_mdp": (lambda mdp: tabular.require_mdp(mdp), {"mdp": PROCESS}),
    "require_critic": (
        lambda critic: tabular.require_critic(critic),
        {"critic": (*OBJECT, tabular.Critic(*[3] * 5))},
    ),
    "check_policy": (with_defaults(tabular.check_policy, mdp=MDP), {"policy": POLICY}),
    "check_transitions": (with_defaults(tabular.check_transitions, mdp=MDP), {"rows": ROW}),
    "uniform_policy": (tabular.uniform_policy, {"mdp": PROCESS}),
    "greedy_policy": (tabular.greedy_policy, {"q": (None, "x", 3.0, [], [NAN])}),
    "value_iteration": (tabular.value_iteration, {"mdp": PROCESS}),
    "policy_evaluation": (
        with_defaults(tabular.policy_evaluation, mdp=MDP, policy=UNIFORM),
        {"mdp": PROCESS, "policy": POLICY},
    ),
    "expected_return": (
        with_defaults(tabular.expected_return, mdp=MDP, policy=UNIFORM),
        {"mdp": PROCESS, "policy": POLICY},
    ),
    "occupancy": (
        with_defaults(tabular.occupancy, mdp=MDP, policy=UNIFORM),
        {"mdp": PROCESS, "policy": POLICY},
    ),
    "concentrability": (
        lambda mdp=MDP, policy=UNIFORM: tabular.concentrability(mdp, policy),
        {"mdp": PROCESS, "policy": POLICY},
    ),
    "bellman_residual": (
        with_defaults(tabular.bellman_residual, mdp=MDP, q=MDP.reward),
        {"mdp": PROCESS, "q": (None, "x", TABLES), "policy": POLICY[1:]},
    ),
    "sample_episode": (
        with_defaults(tabular.sample_episode, key=KEY0, mdp=MDP, policy=UNIFORM),
        {"key": KEY, "mdp": PROCESS, "policy": POLICY, "bernoulli": FLAG},
    ),
    "sample_transitions": (
        with_defaults(tabular.sample_transitions, key=KEY0, mdp=MDP, policy=UNIFORM, episodes=2),
        {"key": KEY, "mdp": PROCESS, "policy": POLICY, "episodes": SIZE, "bernoulli": FLAG},
    ),
    "sums_of": (with_defaults(tabular.sums_of, mdp=MDP), {"mdp": PROCESS, "rows": ROW}),
    "counts_of": (with_defaults(tabular.counts_of, mdp=MDP), {"mdp": PROCESS, "rows": ROW}),
    "statistics": (
        with_defaults(tabular.statistics, sums=SUMS),
        {
            "sums": (
                *OBJECT,
                Later(lambda: SUMS.value._replace(precision=SUMS.value.precision - 1.0)),
            ),
            "ridge": POSITIVE,
        },
    ),
    "refreshed": (
        with_defaults(tabular.refreshed, data=Later(tabular.statistics, SUMS)),
        {"data": (*OBJECT, SUMS), "ridge": POSITIVE},
    ),
    "least_squares_critic": (with_defaults(tabular.least_squares_critic, mdp=MDP), CRITIC),
    "table_critic": (with_defaults(tabular.table_critic, mdp=MDP), CRITIC),
    "finite_class_critic": (
        with_defaults(tabular.finite_class_critic, mdp=MDP, tables=TABLES, radius=1.0),
        {"mdp": PROCESS, "tables": (*TABLE, 9.0 * TABLES, TABLES[:0]), "radius": BONUS},
    ),
    "excess_losses": (
        with_defaults(tabular.excess_losses, tables=TABLES, data=COUNTS),
        {
            "tables": TABLE,
            "data": (
                *OBJECT,
                ROWS,
                Later(lambda: COUNTS.value._replace(visits=COUNTS.value.visits - 1.0)),
            ),
        },
    ),
    "confidence_radius": (
        with_defaults(tabular.confidence_radius, num_members=2, horizon=2, episodes=2),
        {"num_members": SIZE, "horizon": SIZE, "episodes": SIZE}
        | {"delta": (*SHARE, 0.0, 1.0), "scale": POSITIVE},
    ),
    "version_space": (
        with_defaults(tabular.version_space, tables=TABLES, data=COUNTS, radius=1.0),
        {"tables": TABLE, "data": OBJECT, "radius": BONUS},
    ),
    "lsvi_ucb": (
        with_defaults(tabular.lsvi_ucb, mdp=MDP),
        {"mdp": PROCESS, "critic": THING, "bonus": BONUS, "ridge": POSITIVE, "bernoulli": FLAG},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    things = {name: getattr(tabular, name) for name in tabular.__all__}
    assert {name for name, x in things.items() if not hasattr(x, "_fields")} <= set(CASES)
