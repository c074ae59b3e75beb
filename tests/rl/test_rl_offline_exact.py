"""Exact chunk critics: enumeration of paths, open-loop consistency, theorems, distilled maxima."""

import itertools

import numpy as np
import pytest

from jaxswarm.rl.offline import exact

S, A, H = 4, 2, 3


def mixture(mdp, share=0.3):
    _, best = exact.optimal_values(mdp)
    policies = np.stack([np.eye(A)[best], np.full((len(best), A), 1.0 / A)])
    return policies, np.array([share, 1.0 - share])


def by_paths(mdp, policies, weights, start, chunk):
    """Probability, reward and last states of a chunk, by enumeration of all state paths."""
    probability, reward, end = 0.0, 0.0, np.zeros(S)
    for path in itertools.product(range(S), repeat=H):
        states = (start, *path)
        steps = list(zip(states, chunk, states[1:], strict=False))
        mass = np.prod([mdp.transition[s, a, t] for s, a, t in steps])
        acted = sum(
            w * np.prod([p[s, a] for s, a, _ in steps])
            for p, w in zip(policies, weights, strict=True)
        )
        earned = sum(mdp.discount**k * mdp.reward[s, a] for k, (s, a, _) in enumerate(steps))
        probability += mass * acted
        reward += mass * acted * earned
        end[states[-1]] += mass * acted
    return probability, reward / probability, end / probability


def test_chunk_data_agree_with_enumerated_paths():
    mdp = exact.random_mdp(S, A, slip=0.3, seed=1)
    policies, weights = mixture(mdp)
    data = exact.chunk_data(mdp, policies, weights, H)
    np.testing.assert_allclose(data.probability.sum(1), 1.0)
    ones = np.ones((1, S, A))
    for start, index in itertools.product(range(S), range(A**H)):
        chunk = tuple(data.chunks[index])
        probability, reward, end = by_paths(mdp, policies, weights, start, chunk)
        np.testing.assert_allclose(data.probability[start, index], probability)
        np.testing.assert_allclose(data.nominal_reward[start, index], reward)
        np.testing.assert_allclose(data.nominal_end[start, index], end, atol=1e-12)
        _, reward, end = by_paths(mdp, ones, np.ones(1), start, chunk)
        np.testing.assert_allclose(data.true_reward[start, index], reward)
        np.testing.assert_allclose(data.true_end[start, index], end, atol=1e-12)
    np.testing.assert_allclose(data.nominal_states.sum(-1), 1.0)


@pytest.mark.parametrize("strong", [False, True])
def test_open_loop_data_are_consistent_and_reactive_data_under_noise_are_not(strong):
    noisy, clean = (exact.random_mdp(S, A, slip=slip, seed=2) for slip in (0.3, 0.0))
    uniform = np.full((1, S, A), 1.0 / A), np.ones(1)
    gap = lambda mdp, data: exact.open_loop_gap(  # noqa: E731
        exact.chunk_data(mdp, *data, H), strong=strong
    )
    assert gap(noisy, uniform) < 1e-12  # actions that ignore the state
    assert gap(clean, mixture(clean)) < 1e-12  # nothing to react to
    assert gap(noisy, mixture(noisy)) > 0.01


@pytest.mark.parametrize("slip", [0.0, 0.1, 0.4, 0.8])
def test_theorems_bound_value_bias_and_loss(slip):
    for seed in range(10):
        mdp = exact.random_mdp(5, 2, slip=slip, seed=seed)
        data = exact.chunk_data(mdp, *mixture(mdp, 0.5), 4)
        values = [
            exact.chunk_policy_values(mdp, reward, end, data.probability, 4)
            for reward, end in (
                (data.nominal_reward, data.nominal_end),
                (data.true_reward, data.true_end),
            )
        ]
        weak, strong = (exact.open_loop_gap(data, strong=flag) for flag in (False, True))
        bound = exact.value_bias_bound(weak, mdp.discount, 4)
        assert np.abs(values[0] - values[1]).max() <= bound + 1e-9
        q, _ = exact.nominal_critic(mdp, data)
        best, _ = exact.optimal_values(mdp)
        open_loop = exact.chunk_policy_values(mdp, data.true_reward, data.true_end, q.argmax(1), 4)
        bound = exact.suboptimality_bound(strong, mdp.discount, 4)
        assert (best - open_loop).max() <= bound + 1e-9
        if slip == 0.0:  # consistent data with optimal chunks: nothing is lost
            np.testing.assert_allclose(open_loop, best, atol=1e-8)


def test_the_distilled_critic_is_the_maximum_over_completions():
    mdp = exact.random_mdp(S, A, seed=3)
    data = exact.chunk_data(mdp, *mixture(mdp), H)
    q, value = exact.nominal_critic(mdp, data)
    for length in range(1, H + 1):
        short = exact.distilled(data, q, length)
        for start, first in itertools.product(range(S), range(A**length)):
            head = list(itertools.product(range(A), repeat=length))[first]
            same = (data.chunks[:, :length] == head).all(1)
            assert short[start, first] == q[start, same].max()
    np.testing.assert_allclose(exact.distilled(data, q, 1).max(1), value, atol=1e-9)


def test_n_step_returns_are_misled_by_what_bad_data_do_next():
    """Two ways to a reward; the data go on badly after the better one."""
    # 0: left -> 1, right -> 2. From 1 the data almost never take the way to the large reward.
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 1] = transition[0, 1, 2] = 1.0
    transition[1, :, 0] = transition[2, :, 0] = 1.0
    mdp = exact.tabular_mdp(transition, [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5]], 0.9)
    policies = np.array(
        [[[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0], [0.5, 0.5]]]
    )
    data = exact.chunk_data(mdp, policies, [0.1, 0.9], 2)
    q, _ = exact.nominal_critic(mdp, data)
    assert exact.distilled(data, q, 1).argmax(1)[0] == 0
    assert exact.n_step_policy(mdp, data)[0] == 1
    value, best = exact.optimal_values(mdp)
    assert best[0] == 0
    np.testing.assert_allclose(exact.policy_values(mdp, best), value)


def test_bad_processes_are_refused():
    law, reward = np.full((2, 2, 2), 0.5), np.zeros((2, 2))
    mdp = exact.tabular_mdp(law, reward, 0.9)
    policies, weights = np.full((1, 2, 2), 0.5), np.ones(1)
    for match, call in {
        "transition: expected shape": lambda: exact.tabular_mdp(
            np.ones((2, 2, 3)) / 3, reward, 0.9
        ),
        "transition: expected rows": lambda: exact.tabular_mdp(law * 0.9, reward, 0.9),
        "reward": lambda: exact.tabular_mdp(law, reward + 2.0, 0.9),
        "discount": lambda: exact.tabular_mdp(law, reward, 1.0),
        "horizon": lambda: exact.chunk_data(mdp, policies, weights, 0),
        "at most 65536": lambda: exact.chunk_data(mdp, policies, weights, 40),
        "policies": lambda: exact.chunk_data(mdp, policies * 0.5, weights, 2),
        "weights": lambda: exact.chunk_data(mdp, policies, weights * 0.5, 2),
        "slip": lambda: exact.random_mdp(slip=1.5),
        "num_states": lambda: exact.random_mdp(0),
    }.items():
        with pytest.raises(ValueError, match=match):
            call()
