"""Bayesian-network policies in tables: laws, enumeration, finite differences, equilibria."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, gossip, rollout, topology
from jaxswarm.rl import networked
from jaxswarm.systems import bn_actor_critic

DAGS = {
    "independent": bn_actor_critic.independent,
    "line": bn_actor_critic.line,
    "full": bn_actor_critic.full,
}


def tables_of(key, game):
    n, s, j = game.num_agents, game.num_states, game.transition.shape[1]
    return jax.random.normal(key, (n, s, j, game.num_actions))


@pytest.mark.parametrize("kind", DAGS)
def test_the_joint_distribution_is_that_of_a_loop(kind, key):
    game, dag = bn_actor_critic.coordination_game(3), DAGS[kind](3)
    tables = tables_of(key, game)
    found = np.asarray(bn_actor_critic.log_joint(tables, game, jnp.asarray(dag)))
    plain = np.asarray(tables, float)
    for s in (0, 5):
        for j, actions in enumerate(itertools.product((0, 1), repeat=3)):
            total = 0.0
            for i in range(3):
                row = sum(a << (2 - k) for k, a in enumerate(actions) if dag[k, i])
                logits = plain[i, s, row]
                total += logits[actions[i]] - np.log(np.exp(logits).sum())
            assert found[s, j] == pytest.approx(total, abs=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-6)


def test_without_edges_it_is_a_product_of_policies(key):
    with jax.enable_x64(True):
        game = bn_actor_critic.coordination_game(3)
        tables = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 2)))
        joint = bn_actor_critic.log_joint(tables, game, jnp.asarray(bn_actor_critic.independent(3)))
        own = jax.nn.log_softmax(tables[:, :, 0], axis=-1)
        product = own[0][:, :, None, None] + own[1][:, None, :, None] + own[2][:, None, None, :]
        assert float(jnp.max(jnp.abs(joint - product.reshape(8, 8)))) < 1e-12


def test_the_full_graph_represents_any_joint_distribution(key):
    """Conditionals of a random joint distribution, written into tables, give that distribution."""
    game, dag = bn_actor_critic.coordination_game(3), bn_actor_critic.full(3)
    joint = np.random.default_rng(1).dirichlet(np.ones(8), size=8)  # [S, J]
    cube = joint.reshape(8, 2, 2, 2)
    tables = np.zeros((3, 8, 8, 2))
    for a, b in itertools.product((0, 1), repeat=2):
        tables[0, :, 0] = np.log(cube.sum(axis=(2, 3)))
        tables[1, :, 4 * a] = np.log(cube.sum(axis=3)[:, a])
        tables[2, :, 4 * a + 2 * b] = np.log(cube[:, a, b])
    found = np.exp(bn_actor_critic.log_joint(jnp.asarray(tables), game, jnp.asarray(dag)))
    assert (joint * np.log(joint / found)).sum(axis=1).max() < 1e-6


def test_samples_follow_the_enumerated_distribution(key):
    game, dag = bn_actor_critic.coordination_game(3), bn_actor_critic.line(3)
    tables = tables_of(key, game)
    draws = jax.jit(
        jax.vmap(
            lambda k: game.joint(
                bn_actor_critic.sample_joint_action(k, tables, game, dag, jnp.int32(3))
            )
        )
    )(jax.random.split(key, 20_000))
    share = np.bincount(np.asarray(draws), minlength=8) / 20_000
    expected = np.exp(np.asarray(bn_actor_critic.log_joint(tables, game, jnp.asarray(dag))[3]))
    np.testing.assert_allclose(share, expected, atol=4 * np.sqrt(0.25 / 20_000))


def test_the_table_is_the_environment(key):
    game, env = bn_actor_critic.coordination_game(3), envs.CoordinationGame(3)
    state, _ = jax.jit(env.reset)(key)
    state = state._replace(world=jnp.array([False, True, False]))
    step = jax.jit(jax.vmap(env.step, (0, None)))
    keys = jax.random.split(key, 4_000)
    many = jax.vmap(lambda k: state._replace(key=k))(keys)
    after, timestep = step(many, jnp.array([1, 0, 1]))
    index = np.asarray(after.world) @ [4, 2, 1]
    share = np.bincount(index, minlength=8) / 4_000
    np.testing.assert_allclose(share, game.transition[2, 5], atol=0.035)
    assert float(timestep.reward[0, 0]) == float(game.reward[0, 2, 5])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["line", "full"])
def test_the_exact_gradient_is_that_of_finite_differences(kind):
    with jax.enable_x64(True):
        game, dag = bn_actor_critic.coordination_game(2), jnp.asarray(DAGS[kind](2))
        rng = np.random.default_rng(2)
        tables, direction = (jnp.asarray(rng.normal(size=(2, 4, 4, 2))) for _ in range(2))

        def objective(tables):
            policy = jnp.exp(bn_actor_critic.log_joint(tables, game, dag))
            return jnp.mean(bn_actor_critic.state_values(policy, game, 0.95))

        learner = bn_actor_critic.bayesian_policy_gradient(game)
        hp = bn_actor_critic.BayesianHyperparameters(dag, 1.0, 0.95)
        after, info = learner.step(jax.random.key(0), learner.init(tables), hp)
        gradient = jnp.sum((after - tables) * direction)
        h = 1e-5
        ahead, back = objective(tables + h * direction), objective(tables - h * direction)
        assert float(gradient) == pytest.approx(float((ahead - back) / (2 * h)), rel=1e-6)
        assert float(info.value) == pytest.approx(float(objective(tables)))


def test_the_nash_gap_is_the_gain_of_the_best_table(key):
    """Against all deterministic tables of one agent."""
    game, dag = bn_actor_critic.coordination_game(2), bn_actor_critic.full(2)
    tables = tables_of(key, game)
    gap = np.asarray(bn_actor_critic.nash_gap(tables, game, jnp.asarray(dag), 0.5, 60))

    def mean_value(tables):
        return jnp.mean(
            bn_actor_critic.state_values(
                jnp.exp(bn_actor_critic.log_joint(tables, game, jnp.asarray(dag))), game, 0.5
            )
        )

    now = float(mean_value(tables))
    rows = (0, 2)  # the parent plays 0 or 1
    choices = np.array(list(itertools.product((0, 1), repeat=8))).reshape(-1, 4, 2)

    def with_choice(choice):
        forced = jax.nn.one_hot(choice, 2) * 60.0  # [S, rows, A]
        return mean_value(tables.at[1, :, jnp.array(rows)].set(forced.transpose(1, 0, 2)))

    best = jax.jit(jax.vmap(with_choice))(jnp.asarray(choices)).max()
    assert gap[1] == pytest.approx(float(best) - now, abs=1e-4)
    assert (gap >= -1e-5).all()


def test_ascent_reaches_a_nash_equilibrium(key):
    game = bn_actor_critic.coordination_game(2)
    learner = bn_actor_critic.bayesian_policy_gradient(game)
    hp = bn_actor_critic.BayesianHyperparameters(jnp.asarray(bn_actor_critic.full(2)), 1.0, 0.9)
    start = learner.init(tables_of(key, game))

    @jax.jit
    def train(start):
        end, records = rollout(lambda k, s, _: learner.step(k, s, hp), start, 400, key=key)
        return end, records.info.value

    end, value = train(start)
    before = bn_actor_critic.nash_gap(start, game, hp.dag, 0.9)
    after = bn_actor_critic.nash_gap(end, game, hp.dag, 0.9)
    assert (np.diff(np.asarray(value)) > -1e-4).all()
    assert float(jnp.max(after)) < 0.1 * float(jnp.max(before))


@pytest.mark.parametrize("kind", ["none", "line"])
def test_networked_policies_sample_from_and_ascend_their_distribution(kind, key):
    """``none`` through tables of joint actions is also the product of policies, step for step."""
    game = bn_actor_critic.coordination_game(3)
    dag = {"none": bn_actor_critic.independent, "line": bn_actor_critic.line}[kind](3)
    acting = bn_actor_critic.bayesian_policies(game, dag)
    tables = jax.random.normal(key, acting.shape)
    log_joint = jax.jit(lambda tables: bn_actor_critic.log_joint(tables, game, jnp.asarray(dag)))
    state = jnp.int32(5)
    draws = jax.jit(jax.vmap(lambda k: acting.sample(k, tables, state)))(
        jax.random.split(key, 4_000)
    )
    counts = np.bincount(np.asarray(draws) @ np.array([4, 2, 1]), minlength=8) / 4_000
    chance = np.exp(np.asarray(log_joint(tables))[5])
    assert np.abs(counts - chance).max() < 4 * np.sqrt(0.25 / 4_000)

    actions, rates = jnp.array([1, 0, 1]), jnp.array([0.5, -1.0, 2.0])
    gradient = jax.grad(lambda tables: log_joint(tables)[5, 5])(
        tables
    )  # joint action 101 is number 5
    moved = acting.ascend(tables, state, actions, rates) - tables
    np.testing.assert_allclose(moved, rates[:, None, None, None] * gradient, atol=1e-6)
    if kind == "none":
        product = networked.product_policies(game)
        flat = product.ascend(tables[:, :, 0], state, actions, rates)
        np.testing.assert_allclose(flat - tables[:, :, 0], moved[:, :, 0], atol=1e-6)


@pytest.mark.slow
def test_networked_agents_on_a_path_learn_with_their_parents(key):
    game, n = bn_actor_critic.coordination_game(3), 3
    path = topology.from_edges(np.array([(0, 1), (1, 2)]), n)
    communicates = np.asarray(path.adjacency()) > 0
    acting = bn_actor_critic.bayesian_policies(
        game, bn_actor_critic.line(n), communicates=communicates
    )
    here = jnp.eye(8)
    features = networked.Features(
        here[:, 1:], jnp.broadcast_to(here[:, None, :], (8, 8, 8)).astype(jnp.float32)
    )
    rule = gossip.averaging(gossip.mixing(path, "metropolis"))
    learner = networked.networked_actor_critic(game, features, rule, policies=acting)
    start = learner.init(jax.random.normal(key, acting.shape))
    end, _ = jax.jit(lambda k: rollout(learner.step, start, 50, key=k))(key)
    assert end.actors.shape == acting.shape
    assert float(jnp.abs(end.actors - start.actors).max()) > 0
    assert float(end.ledger.total.messages) == 50 * 4
    with pytest.raises(ValueError, match="actors: expected logits"):
        learner.init(jnp.zeros((3, 8, 2)))
    joint = np.exp(
        np.asarray(
            bn_actor_critic.log_joint(end.actors, game, jnp.asarray(bn_actor_critic.line(n)))
        )
    )
    solved = networked.solve(game, joint)
    assert 0.0 < solved.average < 3.0
    product = np.full((n, 8, 2), 0.5)
    uniform = np.full((8, 8), 1 / 8)
    assert networked.solve(game, uniform).average == pytest.approx(
        networked.solve(game, product).average
    )


BAD = {
    "cycle": (lambda: bn_actor_critic.check_dag(np.array([[0, 1], [1, 0]])), "cycle"),
    "square": (lambda: bn_actor_critic.check_dag(np.zeros((2, 3))), r"\[N, N\]"),
    "weights": (lambda: bn_actor_critic.check_dag(np.full((2, 2), 0.5)), "0 and 1"),
    "unreachable": (
        lambda: bn_actor_critic.check_dag(bn_actor_critic.full(3), np.eye(3, k=1, dtype=bool)),
        "communication",
    ),
    "parents": (
        lambda: bn_actor_critic.bayesian_policies(
            bn_actor_critic.coordination_game(3),
            bn_actor_critic.full(3),
            communicates=np.eye(3, k=1, dtype=bool),
        ),
        "communication",
    ),
    "others": (
        lambda: bn_actor_critic.bayesian_policies(
            bn_actor_critic.coordination_game(3), bn_actor_critic.line(2)
        ),
        "dag: expected shape",
    ),
    "flip": (lambda: bn_actor_critic.coordination_game(3, flip=0.6), "flip"),
    "agents": (lambda: bn_actor_critic.coordination_game(4), "margin"),
    "tables": (
        lambda: bn_actor_critic.bayesian_policy_gradient(bn_actor_critic.coordination_game(2)).init(
            jnp.zeros((2, 4, 2, 2))
        ),
        "tables",
    ),
    "weight": (
        lambda: bn_actor_critic.bayesian_policy_gradient(
            bn_actor_critic.coordination_game(2), weight=0.0
        ),
        "weight",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
