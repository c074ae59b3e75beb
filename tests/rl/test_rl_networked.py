"""Networked actor–critics: exact limits, a numpy step, contraction, and the effect of gossip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, envs, gossip, rl, rollout, topology
from jaxswarm.rl import networked
from jaxswarm.rl.networked.games import induced
from tests.tracing import Counted

N = 5
GAME = networked.random_game(N, 4, 2, seed=1)
FEATURES = networked.random_features(GAME, 2, 3, seed=2)
RING = gossip.averaging(gossip.mixing(topology.ring(N)))


def learner(rule, game=GAME, features=FEATURES, **rates):
    return networked.networked_actor_critic(game, features, rule, rates=networked.Rates(**rates))


def blank(game):
    return jnp.zeros((game.num_agents, game.num_states, game.num_actions))


def last(algorithm, start, steps, seed=0):
    run = jax.jit(
        lambda key: rollout(algorithm.step, algorithm.init(start), steps, key=key, every=steps)
    )
    return run(jax.random.key(seed))[0]


def scattered(algorithm, game=GAME):
    """A state whose agents have different critics."""
    rng = np.random.default_rng(0)
    state = algorithm.init(jnp.asarray(rng.normal(size=blank(game).shape), jnp.float32))
    critics = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), state.critics
    )
    return state._replace(critics=critics, average_reward=jnp.arange(N, dtype=jnp.float32), time=3)


def test_exact_solutions_agree_with_a_long_simulation():
    rng = np.random.default_rng(0)
    policy = rng.dirichlet(np.ones(2), size=(N, 4))
    solved = networked.solve(GAME, policy)
    P, r = induced(GAME, policy)
    place, visits, total = 0, np.zeros(4), 0.0
    for _ in range(20_000):
        visits[place] += 1
        total += r[place]
        place = rng.choice(4, p=P[place] / P[place].sum())
    np.testing.assert_allclose(visits / visits.sum(), solved.stationary, atol=0.02)
    assert total / 20_000 == pytest.approx(solved.average, abs=0.02)
    np.testing.assert_allclose(r - solved.average + P @ solved.values, solved.values, atol=1e-6)


def test_a_step_is_the_numpy_recursion(key):
    algorithm = learner(RING, critic=0.5, actor=0.3)
    state = scattered(algorithm)
    after, info = jax.jit(algorithm.step)(key, state)
    t = 4.0
    beta, alpha = 0.5 / t**0.65, 0.3 / t**0.85
    # Which joint action was taken is found from what it did to the actors.
    moved = np.asarray(after.actors - state.actors)[:, int(state.game_state)]
    value, model = (np.asarray(state.critics[k], np.float64) for k in ("value", "reward"))
    here, there = (
        np.asarray(FEATURES.value, np.float64)[int(s.game_state)] for s in (state, after)
    )
    reward, mu = np.asarray(info.reward, np.float64), np.asarray(state.average_reward)
    gain = value @ there - value @ here
    matrix = _ring_matrix()
    fits = []
    for actions in GAME.actions():
        joint = int(GAME.joint(jnp.asarray(actions)))
        f = np.asarray(FEATURES.reward, np.float64)[int(state.game_state), joint]
        chance = np.asarray(jax.nn.softmax(state.actors[:, int(state.game_state)]))
        advantage = model @ f - mu + gain
        expected = alpha * advantage[:, None] * (np.eye(2)[actions] - chance)
        critics = {
            "value": matrix @ (value + beta * (reward - mu + gain)[:, None] * here),
            "reward": matrix @ (model + beta * (reward - model @ f)[:, None] * f),
        }
        fits.append(
            np.allclose(moved, expected, atol=1e-4)
            and all(np.allclose(after.critics[k], critics[k], atol=1e-4) for k in critics)
        )
    assert sum(fits) == 1
    np.testing.assert_allclose(after.average_reward, mu + beta * (reward - mu), atol=1e-5)
    assert float(after.ledger.total.messages) == 2 * N


def _ring_matrix():
    return sum(np.roll(np.eye(N), shift, axis=1) for shift in (-1, 0, 1)) / 3.0


def test_jit_is_eager_and_rates_are_traced(key):
    algorithm = learner(RING)
    state = scattered(algorithm)._replace(time=jnp.int32(3))
    step = Counted(algorithm.step)
    for one, two in zip(
        jax.tree.leaves(step(key, state)),
        jax.tree.leaves(algorithm.step(key, state, None)),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)
    step(key, state, networked.Rates())
    traces = step.traces
    step(key, state, networked.Rates(critic=0.1, actor=0.2))
    assert step.traces == traces


@pytest.mark.slow
def test_all_critics_reach_the_team_s_fixed_point_on_private_rewards():
    """The theorem: under a fixed policy all critics tend to that of the mean reward."""
    algorithm = learner(RING, actor=0.0)
    state = last(algorithm, blank(GAME), 60_000)
    expected = networked.critic_fixed_point(GAME, FEATURES, np.full((N, 4, 2), 0.5))
    for name, target in expected.items():
        found = np.asarray(state.critics[name])
        assert np.abs(found - found.mean(axis=0)).max() < 0.01
        assert np.linalg.norm(found.mean(axis=0) - target) < 0.1 * max(np.linalg.norm(target), 1.0)
    own = networked.critic_fixed_point(
        GAME._replace(reward=_only(0)), FEATURES, np.full((N, 4, 2), 0.5)
    )
    alone = last(learner(gossip.identity(), actor=0.0), blank(GAME), 60_000)
    gap = np.linalg.norm(own["reward"] - expected["reward"])
    assert np.linalg.norm(np.asarray(alone.critics["reward"][0]) - own["reward"]) < 0.3 * gap


def _only(agent):
    """The game in which all agents have the reward of one."""
    return jnp.broadcast_to(GAME.reward[agent], GAME.reward.shape)


def test_full_averaging_is_the_centralised_critic(key):
    algorithm = learner(gossip.averaging(gossip.mixing(topology.complete(N), "uniform")))
    start = algorithm.init(blank(GAME))
    state, info = jax.jit(algorithm.step)(key, start._replace(time=jnp.int32(2)))
    beta = 1.0 / 3.0**0.65
    here = np.asarray(FEATURES.value)[int(start.game_state)]
    for row in np.asarray(state.critics["value"]):
        np.testing.assert_allclose(row, beta * np.mean(info.reward) * here, atol=1e-5)


def test_disagreement_contracts_at_the_spectral_rate(key):
    algorithm = learner(RING, critic=0.0, actor=0.0)
    state = scattered(algorithm)._replace(time=jnp.int32(0))
    rate = float(np.sort(np.abs(np.linalg.eigvalsh(_ring_matrix())))[-2]) ** 2
    before = float(agents.disagreement(state.critics))
    for _ in range(6):
        state, _ = jax.jit(algorithm.step)(key, state)
        after = float(agents.disagreement(state.critics))
        assert after <= rate * before * (1 + 1e-4) + 1e-9
        before = after


@pytest.mark.slow
def test_gossip_makes_agents_cooperate_in_a_dilemma():
    game = networked.dilemma(N)
    features = networked.additive_features(game)
    best = networked.solve(game, np.broadcast_to([0.0, 1.0], (N, 2, 2))).average
    team = {}
    for name, rule in (("alone", gossip.identity()), ("ring", RING)):
        state = last(learner(rule, game, features), blank(game), 8000)
        team[name] = networked.solve(game, np.asarray(jax.nn.softmax(state.actors))).average
    assert team["ring"] > 0.8 * best
    assert team["alone"] < 0.4 * best


def test_action_values_of_algorithm_1_are_the_team_s():
    """Of a fixed policy, from private rewards; they rank actions as the team does."""
    game, n = networked.dilemma(3), 3
    features = networked.additive_features(game)
    rule = gossip.averaging(gossip.mixing(topology.complete(n), "uniform"))
    algorithm = networked.networked_actor_critic(
        game, features, rule, critic="action", rates=networked.Rates(actor=0.0)
    )
    state = last(algorithm, blank(game), 8000)
    assert set(state.critics) == {"action"}
    policy = np.full((n, 2, 2), 0.5)
    solved = networked.solve(game, policy)
    ahead = np.einsum("sjt,t->sj", np.asarray(game.transition), solved.values)
    exact = np.asarray(game.reward).mean(axis=0) - solved.average + ahead
    found = np.einsum(
        "sjf,f->sj", np.asarray(features.reward), np.asarray(state.critics["action"][0])
    )
    gap = (found - found.mean()) - (exact - exact.mean())
    assert np.abs(gap).max() < 0.25 * (exact.max() - exact.min())
    # A gift costs the giver and helps the team: own and team's values disagree about it.
    give = [game.joint(jnp.array([1, 0, 0])), game.joint(jnp.array([0, 0, 0]))]
    assert found[0, give[0]] > found[0, give[1]]


@pytest.mark.slow
def test_algorithm_1_makes_agents_cooperate_in_a_dilemma():
    game = networked.dilemma(N)
    best = networked.solve(game, np.broadcast_to([0.0, 1.0], (N, 2, 2))).average
    team = {}
    for name, rule in (("alone", gossip.identity()), ("ring", RING)):
        algorithm = networked.networked_actor_critic(
            game, networked.additive_features(game), rule, critic="action"
        )
        state = last(algorithm, blank(game), 8000)
        team[name] = networked.solve(game, np.asarray(jax.nn.softmax(state.actors))).average
    assert team["ring"] > team["alone"] + 0.3 * best


ENV = envs.Donations(num_agents=4, time_limit=10)
NETWORK = rl.network_for(ENV, critic="global", widths=(16,))


def ppo(rule, **options):
    sizes = {"num_envs": 4, "num_steps": 20, "epochs": 2, "minibatches": 1, "reward_widths": (8,)}
    hp = rl.PPOHyperparameters(lr=1e-2, discount=0.9)
    return networked.networked_ppo(ENV, NETWORK, rule, hyperparameters=hp, **(sizes | options))


def begun(algorithm, key):
    start = jax.jit(lambda key: algorithm.init(networked.initial_params(key, NETWORK, 4), key))
    return start(key)


@pytest.mark.slow
def test_networked_ppo_averages_critics_and_not_actors(key):
    complete = gossip.averaging(gossip.mixing(topology.complete(4), "uniform"))
    algorithm = ppo(complete)
    step = Counted(algorithm.step)
    state, info = step(key, begun(algorithm, key))
    again, _ = step(key, state)
    assert step.traces == 1
    spread = {
        name: float(agents.disagreement(again.learner.params[name])) for name in ("actor", "critic")
    }
    assert spread["critic"] < 1e-9 < spread["actor"]
    assert float(agents.disagreement(again.reward_model.params)) < 1e-9
    assert float(info.traffic.messages) == 2 * 4 * 3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(again.learner.params))
    alike = ppo(complete, average_actors=True)
    state, _ = jax.jit(alike.step)(key, begun(alike, key))
    assert float(agents.disagreement(state.learner.params["actor"])) < 1e-9


@pytest.mark.slow
def test_networked_ppo_gives_where_isolated_learners_do_not():
    mean = {}
    for name, rule in (
        ("alone", gossip.identity()),
        ("ring", gossip.averaging(gossip.mixing(topology.ring(4)))),
    ):
        algorithm = ppo(rule)

        def run(key, algorithm=algorithm):
            start = begun(algorithm, key)
            return rollout(algorithm.step, start, 40, key=key, every=5)[1].info.ppo.reward[-1]

        mean[name] = float(jnp.mean(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 2))))
    assert mean["ring"] > 1.0
    assert mean["alone"] < 0.3


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match="num_agents"):
        networked.random_game(13)
    with pytest.raises(ValueError, match="benefit, cost"):
        networked.dilemma(3, benefit=1.0, cost=2.0)
    with pytest.raises(ValueError, match="num_value"):
        networked.random_features(GAME, 4, 3)
    with pytest.raises(ValueError, match=r"features\.value: expected \[4, D\]"):
        learner(RING, features=networked.Features(jnp.zeros((3, 2)), FEATURES.reward))
    with pytest.raises(ValueError, match=r"features\.reward"):
        learner(RING, features=FEATURES._replace(reward=jnp.zeros((4, 2, 3))))
    with pytest.raises(ValueError, match=r"actors: expected logits \(5, 4, 2\)"):
        learner(RING).init(jnp.zeros((5, 4, 3)))
    with pytest.raises(ValueError, match="joint"):
        ppo(gossip.identity(), joint="sum")
    with pytest.raises(ValueError, match="reward_steps"):
        ppo(gossip.identity(), reward_steps=0)
    with pytest.raises(ValueError, match="reward_lr"):
        ppo(gossip.identity(), reward_lr=0.0)
    with pytest.raises(ValueError, match="minibatches"):
        ppo(gossip.identity(), minibatches=3)
    with pytest.raises(ValueError, match="topology"):
        envs.Donations(4, topology=topology.ring(5))
