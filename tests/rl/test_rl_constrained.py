"""Constrained learners: closed forms, limits of λ, separate training, networked agents."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxswarm import data, gossip, rl
from jaxswarm.rl import constrained

M, K = 3, 3
DISCOUNTS = (0.5, 0.4, 0.3)
NETWORK = constrained.candidate_network(0, K, K, widths=())
REWARDS = np.array([[0.0, 0.5, 1.0], [1.0, 0.0, 0.2], [0.0, 0.6, 0.1]])  # response, action


def bandit_log(users=60):
    """One-step sessions with features that name the action, so that policies are tables."""
    action = np.arange(users) % K
    return data.interactions(
        np.arange(users),
        action,
        {f"r{i}": REWARDS[i, action] for i in range(M)},
        propensity=np.full(users, 1 / K),
        features=np.tile(np.eye(K).reshape(-1), (users, 1)),
    )


def walk_log(users=12, steps=4, seed=0):
    """Sessions of random features and responses."""
    rng = np.random.default_rng(seed)
    rows = users * steps
    return data.interactions(
        np.arange(rows) // steps,
        rng.integers(0, K, rows),
        {f"r{i}": rng.normal(size=rows) for i in range(M)},
        propensity=rng.uniform(0.2, 1.0, rows),
        features=rng.normal(size=(rows, K * K)),
    )


def random_state(seed=0, n=2, k=5):
    rng = np.random.default_rng(seed)
    policies = 0.9 * rng.dirichlet(np.ones(k), n) + 0.1 / k
    return rng.normal(size=k), policies, rng.uniform(0.1, 0.6, n)


def test_the_closed_form_is_the_optimum():
    gain, policies, weights = random_state()
    best = constrained.regularized_policy(gain, policies, weights)
    value = constrained.regularized_objective(best, gain, policies, weights)
    others = np.random.default_rng(1).dirichlet(np.ones(5), 1000)
    many = [np.broadcast_to(x, others.shape) for x in (gain, *policies)]
    found = constrained.regularized_objective(others, many[0], np.stack(many[1:]), weights)
    assert float(value) > float(found.max())

    def cost(logits):
        p = np.exp(logits - logits.max())
        p /= p.sum()
        return -(
            p @ gain - sum(w * p @ np.log(p / q) for w, q in zip(weights, policies, strict=True))
        )

    fitted = np.exp(minimize(cost, np.zeros(5), tol=1e-12).x)
    np.testing.assert_allclose(fitted / fitted.sum(), best, atol=1e-4)


def test_limits_of_the_weights_and_permutations():
    gain, policies, weights = random_state(1)
    mixture = np.prod(policies**0.5, axis=0)
    far = constrained.regularized_policy(gain, policies, 1e6)
    np.testing.assert_allclose(far, mixture / mixture.sum(), rtol=1e-4)
    free = constrained.regularized_policy(gain, policies, 1e-4)
    assert int(jnp.argmax(free)) == gain.argmax()
    assert float(free.max()) > 0.999
    forth, back = (
        constrained.regularized_policy(gain, policies[::s], weights[::s]) for s in (1, -1)
    )
    np.testing.assert_allclose(forth, back, rtol=1e-6)
    shifted = constrained.regularized_policy(gain + 3.0, policies, weights)
    np.testing.assert_allclose(shifted, forth, rtol=1e-5)
    alone = constrained.regularized_policy(gain, policies, [0.5, 0.0])
    np.testing.assert_allclose(
        alone, constrained.regularized_policy(gain, policies[:1], 0.5), rtol=1e-5
    )


def test_impossible_actions_are_floored_with_a_warning():
    with pytest.warns(UserWarning, match="policies: probabilities below"):
        found = constrained.regularized_policy([0.0, 0.0], [[1.0, 0.0]], 1.0)
    assert np.isfinite(found).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrained.regularized_policy([0.0, 0.0], [[0.5, 0.5]], 1.0)


def test_the_gaussian_closed_form_is_the_tilted_product():
    mean, std = constrained.regularized_gaussian(
        [[0.2], [-0.4]], [[0.5], [0.9]], [0.3, 0.1], [0.7], 1.5
    )
    x = np.linspace(-6, 6, 20001)
    logs = -0.75 * (x - 0.2) ** 2 / (2 * 0.25) - 0.25 * (x + 0.4) ** 2 / (2 * 0.81)
    p = np.exp(logs + (0.7 * x - 0.75 * x**2) / 0.4)
    p /= p.sum()
    assert float(mean[0]) == pytest.approx(p @ x, abs=1e-4)
    assert float(std[0]) == pytest.approx(np.sqrt(p @ (x - p @ x) ** 2), abs=1e-4)


def test_min_norm_weights():
    weights = constrained.min_norm_weights(np.diag([1.0, 4.0]))
    np.testing.assert_allclose(weights, [0.8, 0.2], atol=1e-3)
    inside = constrained.min_norm_weights([[1.0, 2.0], [2.0, 9.0]])  # the first alone is shortest
    np.testing.assert_allclose(inside, [1.0, 0.0], atol=1e-3)


def test_transitions_follow_sessions():
    log = data.interactions(
        [5, 5, 9, 5],
        [0, 1, 2, 1],
        {"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 0.0, 0.0, 0.0]},
        propensity=[0.5, 0.25, 1.0, 0.5],
        features=np.arange(4.0),
    )
    rows = constrained.transitions(log)
    assert int(rows.count) == 4
    assert rows.features[:4, 0].tolist() == [0.0, 1.0, 3.0, 2.0]
    assert rows.following[:4].tolist() == [1, 2, 2, 3]
    assert rows.terminal.tolist() == [False, False, True, True, True, True]
    np.testing.assert_allclose(rows.rewards[:4, 0].std(), 1.0, rtol=1e-5)
    assert not np.any(rows.rewards[:, 1])  # a constant response keeps its unit
    batch = constrained.sample(jax.random.key(0), rows, 64)
    assert set(batch.features[:, 0].tolist()) <= {0.0, 1.0, 2.0, 3.0}
    middle = ~np.asarray(batch.terminal)
    np.testing.assert_array_equal(batch.next_features[middle] > batch.features[middle], True)


def test_shards_hold_all_users_once_in_common_units():
    log = walk_log()
    whole, shards = constrained.transitions(log), constrained.shard_users(log, 3)
    assert shards.count.tolist() == [16, 16, 16]
    together = np.sort(np.asarray(shards.rewards)[..., 0].reshape(-1))
    np.testing.assert_allclose(together, np.sort(whole.rewards[:, 0]), rtol=1e-6)


def test_permuting_candidates_permutes_probabilities():
    network = constrained.candidate_network(2, 3, 4, widths=(8,))
    params = network.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    context, slate = rng.normal(size=2), rng.normal(size=(3, 4))
    order = np.array([2, 0, 1])

    def scores(items):
        return network.actor(params["actor"], (), jnp.concatenate([context, items.reshape(-1)]))[1]

    np.testing.assert_allclose(scores(slate)[order], scores(slate[order]), rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    """TSCAC on the bandit by both rules of stage two: learners and their states."""
    rows = constrained.transitions(bandit_log(), scale=np.ones(M))
    base = constrained.tscac(
        NETWORK, discounts=DISCOUNTS, weights=[0.2, 0.1], decay_steps=400, cap=1e3, lr=0.05,
        critic_lr=0.05, auxiliary_numbers={"entropy": 0.2},
    )  # fmt: skip

    def learner_of(rule):
        hp = base.hyperparameters._replace(rule=rule)
        return constrained.constrained_learner(
            NETWORK, hp, auxiliary=base.auxiliary_hyperparameters, decay_steps=400
        )

    @jax.jit
    def both(key):
        def one(rule):
            learner = learner_of(rule)

            def trained_in(stage, state):
                def step(state, key):
                    return stage(key, state, constrained.sample(key, rows, 300))[0], None

                return jax.lax.scan(step, state, jax.random.split(key, 400))[0]

            state = trained_in(learner.stage_one, learner.init(key))
            return trained_in(learner.stage_two, state)

        return jax.vmap(one)(jnp.array([constrained.REGULARIZED, constrained.CLOSED_FORM]))

    states = both(jax.random.key(0))
    return [
        (learner_of(rule), jax.tree.map(lambda x, i=i: x[i], states))
        for i, rule in enumerate((constrained.REGULARIZED, constrained.CLOSED_FORM))
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["gradient", "closed form"])
def test_stage_two_finds_the_closed_form(trained, which):
    learner, state = trained[which]
    features = jnp.asarray(np.eye(K).reshape(1, -1))
    policies = [
        jax.nn.softmax(NETWORK.actor(jax.tree.map(lambda x, i=i: x[i], state.auxiliary.actor), (),
                                     features[0])[1])
        for i in range(M - 1)
    ]  # fmt: skip
    wanted = constrained.regularized_policy(REWARDS[0], np.stack(policies), [0.2, 0.1])
    found = learner.probabilities(state, features)[0]
    assert 0.05 < float(wanted.max() - wanted.min()) < 0.95
    np.testing.assert_allclose(found, wanted, atol=0.04)
    for i, policy in enumerate(policies):  # each auxiliary policy prefers its own response
        assert int(np.argmax(policy)) == REWARDS[i + 1].argmax()


def test_probabilities_log_probs_and_actions_agree(trained):
    learner, state = trained[1]
    features = jnp.asarray(np.tile(np.eye(K).reshape(1, -1), (4000, 1)))
    action = learner.act(jax.random.key(3), state, features)
    table = learner.probabilities(state, features)
    np.testing.assert_allclose(np.bincount(action, minlength=K) / 4000, table[0], atol=0.03)
    log_prob = learner.log_prob(state, features, action)
    np.testing.assert_allclose(jnp.exp(log_prob), table[0][action], rtol=1e-5)


@pytest.mark.slow
def test_stacked_auxiliaries_are_those_trained_alone():
    rows = constrained.transitions(walk_log())
    learner = constrained.tscac(NETWORK, discounts=DISCOUNTS)
    state = learner.init(jax.random.key(1))
    numbers = learner.auxiliary_hyperparameters

    @jax.jit
    def stacked(state):
        for i in range(3):
            key = jax.random.key(i)
            state, _ = learner.stage_one(key, state, constrained.sample(key, rows, 16))
        return state

    @jax.jit
    def alone(main, hp):
        single = constrained.constrained_learner(NETWORK, hp)
        state = constrained.ConstrainedState(main)
        for i in range(3):
            key = jax.random.key(i)
            state, _ = single.stage_two(key, state, constrained.sample(key, rows, 16))
        return state.main

    together = stacked(state).auxiliary
    for i in range(M - 1):
        own = alone(*jax.tree.map(lambda x, i=i: x[i], (state.auxiliary, numbers)))
        mine = jax.tree.map(lambda x, i=i: x[i], together)
        for x, y in zip(jax.tree.leaves(mine.critics), jax.tree.leaves(own.critics), strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6)
        kernels = (x.actor["Dense_0"]["kernel"] for x in (mine, own))  # biases change nothing
        np.testing.assert_allclose(*kernels, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
def test_baselines_share_the_update_and_multipliers_follow_their_constraints():
    rows = constrained.transitions(walk_log())
    common = {"discounts": DISCOUNTS, "dual_rate": 0.1}
    for learner in (
        constrained.rcpo(NETWORK, thresholds=[5.0, -5.0], **common),
        constrained.lagrangian(NETWORK, thresholds=[5.0, -5.0], **common),
    ):
        state, losses = constrained.fit(jax.random.key(0), learner, rows, 5, batch_size=16)
        unmet, met = state.main.multipliers[1:]
        assert float(unmet) > 1.5
        assert float(met) == 0.0
        assert state.auxiliary == ()
        assert losses["actor"].shape == (5,)
    weights = constrained.pareto(NETWORK, discounts=DISCOUNTS)
    state, _ = constrained.fit(jax.random.key(0), weights, rows, 5, batch_size=16)
    assert state.main.gradients["Dense_0"]["kernel"].shape[0] == M
    np.testing.assert_array_equal(state.main.multipliers, 1.0)


@pytest.mark.slow
def test_gaussian_actions_move_to_the_better_side_and_stay_near_auxiliaries():
    rng = np.random.default_rng(0)
    size = 400
    action = rng.normal(0.0, 0.5, (size, 1)).astype(np.float32)
    log = data.interactions(
        np.arange(size),
        action,
        {"main": action[:, 0], "other": -action[:, 0]},
        propensity=np.exp(-0.5 * (action[:, 0] / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi)),
        features=np.ones(size),
        density=True,
    )
    network = rl.actor_critic_network(rl.gaussian(1, initial_std=0.5), 1, widths=(4,))
    rows = constrained.transitions(log)

    @jax.jit
    def mean_of(weight):
        learner = constrained.tscac(network, discounts=(0.5, 0.5), weights=weight, lr=0.02)

        def step(state, key):
            return learner.step(key, state, constrained.sample(key, rows, 128))[0], None

        keys = jax.random.split(jax.random.key(0), 60)
        state, _ = jax.lax.scan(step, learner.init(jax.random.key(1)), keys)
        own = network.actor(state.main.actor, (), jnp.ones(1))[1][0]
        other = jax.tree.map(lambda x: x[0], state.auxiliary.actor)
        return own, network.actor(other, (), jnp.ones(1))[1][0]

    (free, other), (near, _) = mean_of(jnp.float32(0.3)), mean_of(jnp.float32(30.0))
    assert float(other) < -0.05  # its response falls with the action
    assert float(near) < 0.0 < float(free)


@pytest.mark.slow
def test_networked_agents_average_what_learns():
    log = walk_log()
    learner = constrained.tscac(NETWORK, discounts=DISCOUNTS)
    rows = constrained.shard_users(log, 2)
    mean = gossip.averaging(gossip.complete_mean(2))
    one, two = (
        constrained.networked(learner, mean, rows, batch_size=8, stage=stage)
        for stage in ("one", "two")
    )
    state = one.init(jax.random.key(0))
    first, info = jax.jit(one.step)(jax.random.key(1), state)
    kernel = first.agents.auxiliary.actor["Dense_0"]["kernel"]
    np.testing.assert_allclose(kernel[0], kernel[1], rtol=1e-5)
    assert not np.allclose(kernel, state.agents.auxiliary.actor["Dense_0"]["kernel"])
    jax.tree.map(np.testing.assert_array_equal, first.agents.main.actor, state.agents.main.actor)
    assert int(info.traffic.messages) == 2
    second, _ = jax.jit(two.step)(jax.random.key(2), first)
    old, new = (x.agents.auxiliary.actor["Dense_0"]["kernel"] for x in (first, second))
    np.testing.assert_allclose(old, new, rtol=1e-5)
    mine = second.agents.main.actor["Dense_0"]["kernel"]
    np.testing.assert_allclose(mine[0], mine[1], rtol=1e-5)
    assert int(second.round) == 2
