"""NORA: switches, resets and mirror ascent, exact inequalities, swarms, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import agents, gossip, rollout, topology
from jaxswarm.rl import tabular
from jaxswarm.systems import nora
from jaxswarm.systems.nora.actor import ascend
from tests.rl.bad_input import FLAG, FUNCTION, NAME, NUMBER, OBJECT, SIZE, THING, accepted

LOCK = tabular.combination_lock(4, 3, slip=0.05, distractor=0.02, seed=2)
HARD = tabular.combination_lock(6, 4, slip=0.05, distractor=0.02, seed=2)
EPISODES = 600
NAMES = list(nora.SETTINGS)


def stacked(trees):
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *trees)


@pytest.fixture(scope="module")
def program():
    """Every arm on three seeds, one program: ``run(settings, keys) -> (state, info)``."""

    def run(settings, key):
        learner = nora.actor_critic(HARD, settings)
        state, records = rollout(learner.step, learner.init(), EPISODES, key=key)
        return state, records.info

    return jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))


@pytest.fixture(scope="module")
def runs(program):
    """``{arm: (state, info)}`` with leaves ``[3, ...]``."""
    keys = jax.random.split(jax.random.key(1), 3)
    state, info = program(stacked(list(nora.SETTINGS.values())), keys)
    take = lambda b: jax.tree.map(lambda x: np.asarray(x[b]), (state, info))  # noqa: E731
    return {name: take(b) for b, name in enumerate(NAMES)}


def test_optimism_opens_the_lock_and_nothing_else_does(runs):
    late = {name: info.regret[:, -50:].mean() for name, (_, info) in runs.items()}
    for name in ("nora", "no reset", "no rare switching", "douhua", "lsvi-ucb", "rare lsvi-ucb"):
        assert late[name] < 0.15, name
    for name in ("no optimism", "reset in every episode", "uniform"):
        assert late[name] > 0.5, name
    assert (runs["nora"][1].regret >= -1e-5).all()


def test_the_log_determinant_rule_switches_rarely(runs):
    bound = nora.switch_bound(6, 8, EPISODES, ridge=0.01)
    for name in ("nora", "no reset", "rare lsvi-ucb", "no optimism"):
        state, info = runs[name]
        np.testing.assert_array_equal(info.switched.sum(axis=1), state.actor.switches)
        assert info.switched[:, 0].all()
        assert (state.actor.switches <= bound).all()
    for name in ("no rare switching", "reset in every episode", "douhua", "lsvi-ucb"):
        assert runs[name][1].switched.all()
    assert (runs["uniform"][0].actor.switches == 1).all()


def test_every_switch_follows_a_doubled_determinant(program):
    """The log-determinants at switches, computed anew from the counts of visits."""
    learner = nora.nora(LOCK)

    def visits(state):
        return jnp.diagonal(state.data.sums.precision, axis1=1, axis2=2)

    run = jax.jit(
        lambda key: rollout(learner.step, learner.init(), 100, key=key, evaluate=visits)[1]
    )
    records = run(jax.random.key(3))
    before = np.concatenate([np.zeros((1, 4, 6)), records.evaluation[:-1]])  # of each episode
    log_det = np.log(before + 0.01).sum(axis=2)
    reference = np.full(4, -np.inf)
    for episode in range(100):
        due = (log_det[episode] - reference >= np.log(2.0) - 1e-3).any()
        assert bool(records.info.switched[episode]) == due, episode
        if due:
            reference = log_det[episode]


@pytest.fixture(scope="module")
def one_episode():
    """One episode of any settings, and values of a table with the same data."""

    def step(settings, key, state):
        return nora.actor_critic(LOCK, settings).step(key, state, None)

    def fit(settings, counts, policy):
        critic = tabular.table_critic(
            LOCK, bonus=settings.bonus, ridge=settings.ridge, on_policy=settings.on_policy
        )
        return critic.fit(counts, policy)

    return jax.jit(step), jax.jit(fit)


@pytest.mark.parametrize("name", ["nora", "no reset", "douhua", "lsvi-ucb"])
def test_episodes_are_the_numpy_recursion(one_episode, name):
    """Values, resets and logits of 12 episodes, given the data that the learner saw."""
    step, fit = one_episode
    chosen = nora.SETTINGS[name]
    traced = stacked([chosen])
    traced = jax.tree.map(lambda x: x[0], traced)
    state = nora.nora(LOCK).init()
    values, logits = np.zeros(LOCK.reward.shape), np.zeros(LOCK.reward.shape)
    best = float(tabular.value_iteration(LOCK).value[0, 0])
    for episode in range(12):
        sums = state.data.sums
        pairs = np.asarray(sums.nexts).reshape(4, 2, 3, 2)
        counts = tabular.Counts(jnp.asarray(pairs), sums.rewards.reshape(4, 2, 3))
        policy = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        state, info = step(traced, jax.random.key(episode), state)
        if info.switched:
            values = np.asarray(fit(traced, counts, jnp.asarray(policy, jnp.float32)))
            logits = np.zeros_like(logits) if chosen.reset else logits
        np.testing.assert_allclose(state.actor.values, values, atol=1e-4)
        policy = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        if chosen.greedy:
            policy = np.eye(3)[values.argmax(axis=2)]
        earned = float(tabular.expected_return(LOCK, jnp.asarray(policy, jnp.float32)))
        assert float(info.regret) == pytest.approx(best - earned, abs=1e-4)
        logits = logits + chosen.rate * values
        shown = jax.nn.softmax(state.actor.logits)
        expected = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        np.testing.assert_allclose(shown, expected, atol=1e-4)


def test_lsvi_ucb_is_one_of_the_settings():
    own = nora.actor_critic(LOCK, nora.settings_of("lsvi-ucb"))
    other = tabular.lsvi_ucb(LOCK)
    key = jax.random.key(4)
    mine = jax.jit(lambda: rollout(own.step, own.init(), 60, key=key)[1].info)()
    theirs = jax.jit(lambda: rollout(other.step, other.init(), 60, key=key)[1].info)()
    np.testing.assert_allclose(mine.regret, theirs.regret, atol=1e-5)
    np.testing.assert_allclose(mine.optimism, theirs.optimism, atol=1e-4)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.05, 5.0), st.integers(2, 6))
def test_mirror_ascent_has_the_regret_of_its_analysis(seed, rate, actions):
    """``Σ ⟨f_t, π* − π_{t+1}⟩ ≤ log A / η`` for any values ``f_t`` and any ``π*``.

    And ``Σ ⟨f_t, π* − π_t⟩ ≤ log A / η + η T / 2`` for values in [0, 1].
    """
    f = np.random.default_rng(seed).uniform(size=(40, actions)).cumsum(axis=0) % 1.0
    logits = np.vstack([np.zeros(actions), rate * np.cumsum(f, axis=0)])
    policy = np.exp(logits - logits.max(axis=1, keepdims=True))
    policy /= policy.sum(axis=1, keepdims=True)
    best = f.sum(axis=0).max()
    after, before = (f * policy[1:]).sum(), (f * policy[:-1]).sum()
    assert best - after <= np.log(actions) / rate + 1e-9
    assert best - before <= np.log(actions) / rate + rate * len(f) / 2.0 + 1e-9
    # the learner's own actor, from the same values
    actor = nora.Actor(*(jnp.zeros(s) for s in ((1, 1, actions), (1, 1, actions), (1,), ())))
    for row in f[:5]:
        actor = actor._replace(values=jnp.asarray(row, jnp.float32)[None, None])
        actor = ascend(nora.Settings(rate=rate), actor)
    np.testing.assert_allclose(jax.nn.softmax(actor.logits)[0, 0], policy[5], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_regret_is_optimism_tracking_and_bellman_error(seed):
    """The decomposition on which the analysis stands, an identity for any values and policy.

    ``V* − V^π = Σ_h E_π*[⟨π* − π, f⟩] + Σ_h E_π*[T^π f − f] − Σ_h E_π[T^π f − f]``.
    """
    rng = np.random.default_rng(seed)
    mdp = tabular.random_linear_mdp(4, 3, 3, 3, seed=seed)
    policy = jnp.asarray(rng.dirichlet(np.ones(3), (3, 4)), jnp.float32)
    f = jnp.asarray(rng.uniform(0.0, 3.0, mdp.reward.shape), jnp.float32)
    best = tabular.value_iteration(mdp).policy
    residual = tabular.bellman_residual(mdp, f, policy)
    star, own = tabular.occupancy(mdp, best), tabular.occupancy(mdp, policy)
    states = star.sum(axis=2, keepdims=True)
    tracking = (states * (best - policy) * f).sum()
    right = tracking + (star * residual).sum() - (own * residual).sum()
    left = tabular.expected_return(mdp, best) - tabular.expected_return(mdp, policy)
    assert float(left) == pytest.approx(float(right), abs=1e-4)


def test_optimistic_values_bound_regret_where_the_critic_is_optimistic(runs):
    """With Q* in place of the critic the actor alone is left, and learns."""
    learner = nora.actor_critic(LOCK, nora.settings_of("nora", growth=np.inf))
    best = tabular.value_iteration(LOCK).q
    run = jax.jit(
        lambda: rollout(learner.step, learner.init(values=best), 60, key=jax.random.key(0))[1].info
    )
    info = run()
    assert not info.switched.any()
    np.testing.assert_allclose(info.optimism, 0.0, atol=1e-6)
    assert float(info.regret[-1]) < 1e-3
    assert (np.diff(info.regret) <= 1e-6).all()


@pytest.mark.slow
def test_offline_data_replace_optimism(key):
    best = tabular.value_iteration(HARD).policy
    behavior = 0.5 * best + 0.5 * tabular.uniform_policy(HARD)
    sample = jax.jit(tabular.sample_transitions, static_argnames="episodes")
    rows = sample(key, HARD, behavior, episodes=300)
    learner = nora.nora(HARD, bonus=0.0)
    for data, learns in ((rows, True), (None, False)):
        run = lambda rows: rollout(learner.step, learner.init(rows), 60, key=key)[1].info  # noqa: E731
        least = float(jax.jit(run)(data).regret.min())
        assert least < 0.05 if learns else least > 0.5


@pytest.fixture(scope="module")
def finite():
    """Optimal values of locks with four codes, the one that is played included."""
    codes = ([0, 1, 2, 0], [1, 1, 0, 2], [2, 2, 1, 0])
    other = [tabular.combination_lock(4, 3, distractor=0.02, code=np.array(c)) for c in codes]
    return jnp.stack([tabular.value_iteration(mdp).q for mdp in (*other, LOCK)])


@pytest.mark.parametrize("rule", ["loss", "log_det"])
def test_loss_rule_and_finite_class(finite, rule):
    radius = 8.0
    critic = tabular.finite_class_critic(LOCK, finite, radius)
    if rule == "loss":
        settings = nora.settings_of("nora", tolerance=radius)
        learner = nora.actor_critic(LOCK, settings, critic=critic, rule="loss")
    else:
        learner = nora.nora(LOCK, rule="loss")  # the elliptical critic, by its loss
    best = finite[-1]

    def excess(state):
        return jnp.max(critic.gap(best, state.data)) if rule == "loss" else 0.0

    run = jax.jit(lambda key: rollout(learner.step, learner.init(), 300, key=key, evaluate=excess))
    state, records = run(jax.random.key(2))
    assert float(records.info.regret[-30:].mean()) < 0.15
    assert 1 <= int(state.actor.switches) < 60
    if rule == "loss":
        assert float(records.evaluation.max()) <= radius
        assert float(records.info.optimism.min()) >= -1e-4


N = 4


@pytest.fixture(scope="module")
def swarms():
    """``run(graph, scale, key, rows) -> (state, info)`` for no edges, a ring, a complete graph."""
    graphs = [topology.from_edges(np.zeros((0, 2), int), N), topology.ring(N), topology.complete(N)]
    W = gossip.mixing(topology.stack(graphs), "metropolis", layout="dense", connected=False)

    def run(graph, scale, key):
        learner = nora.swarm(LOCK, gossip.averaging(W[graph]), N, scale=scale)
        state, records = rollout(learner.step, learner.init(), 150, key=key)
        return state, records.info

    return jax.jit(run)


@pytest.mark.slow
def test_agents_on_a_complete_graph_have_all_data(swarms, key):
    state, info = swarms(2, float(N), key)
    for leaf in jax.tree.leaves(state.data.sums):
        np.testing.assert_allclose(leaf, jnp.broadcast_to(leaf[:1], leaf.shape), atol=1e-2)
    episodes = state.data.sums.precision[0].trace(axis1=1, axis2=2)
    np.testing.assert_allclose(episodes, N * 150.0, rtol=1e-4)
    assert int(info.traffic.bytes[0]) > 0
    for regret in info.agents.regret.T:  # the same data, hence the same policies
        np.testing.assert_allclose(regret, info.agents.regret[:, 0], atol=1e-3)


def test_gossip_keeps_the_mean_of_the_statistics(swarms, key):
    for graph, scale in ((0, 1.0), (1, float(N)), (2, float(N))):
        state, _ = swarms(graph, scale, key)
        total = N * jax.tree.map(lambda x: x.mean(axis=0), state.shares).precision
        np.testing.assert_allclose(total.trace(axis1=1, axis2=2), N * 150.0, rtol=1e-4)
    alone, _ = swarms(0, 1.0, key)
    own = alone.data.sums.precision.trace(axis1=2, axis2=3)
    np.testing.assert_allclose(own, 150.0, rtol=1e-4)


def test_agents_without_neighbors_are_nora(swarms, key):
    single = nora.nora(LOCK)

    def step(key, state, inputs):
        return single.step(agents.keys(jax.random.fold_in(key, 0), N)[1], state, inputs)

    one, alone = jax.jit(lambda: rollout(step, single.init(), 150, key=key))()
    many, info = swarms(0, 1.0, key)
    np.testing.assert_allclose(info.agents.regret[:, 1], alone.info.regret, atol=1e-3)
    np.testing.assert_allclose(many.actor.values[1], one.actor.values, atol=1e-3)
    assert not np.allclose(info.agents.regret[:, 0], info.agents.regret[:, 1], atol=0.1)


def with_defaults(fn, /, **defaults):
    return lambda **changed: fn(**(defaults | changed))


RING = gossip.averaging(gossip.mixing(topology.ring(3)))
ONE_ACTION = tabular.episodic_mdp(np.ones((2, 1, 1, 1)), np.ones((2, 1, 1)))
MDP = (*OBJECT, ONE_ACTION)
SETTINGS = (*THING, nora.Settings(bonus=-1.0), nora.Settings(rate=0.0), nora.Settings(reset=2))
POSITIVE = (*NUMBER, 0.0, -1.0)
CASES = {
    "actor_critic": (
        with_defaults(nora.actor_critic, mdp=LOCK),
        {"mdp": MDP, "settings": SETTINGS, "critic": THING, "rule": NAME, "bernoulli": FLAG},
    ),
    "nora": (
        with_defaults(nora.nora, mdp=LOCK),
        {"mdp": MDP, "bonus": (*NUMBER, -1.0), "rate": POSITIVE, "critic": THING, "rule": NAME},
    ),
    "douhua": (
        with_defaults(nora.douhua, mdp=LOCK),
        {"mdp": MDP, "bonus": (*NUMBER, -1.0), "rate": POSITIVE},
    ),
    "switch_bound": (
        with_defaults(nora.switch_bound, horizon=2, num_features=2, episodes=10),
        {"horizon": SIZE, "num_features": SIZE, "episodes": SIZE}
        | {"ridge": POSITIVE, "growth": POSITIVE},
    ),
    "swarm": (
        with_defaults(nora.swarm, mdp=LOCK, rule=RING, num_agents=3),
        {"mdp": MDP, "rule": (*OBJECT, FUNCTION[0]), "num_agents": SIZE, "settings": SETTINGS}
        | {"scale": tuple(x for x in POSITIVE if x is not None), "bernoulli": FLAG},
    ),
    "settings_of": (
        nora.settings_of,
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    functions = {n for n in nora.__all__ if not hasattr(getattr(nora, n), "_fields")}
    assert functions - {"SETTINGS"} <= set(CASES)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"bonus": -1.0}, "settings.bonus"),
        ({"rate": 0.0}, "settings.rate"),
        ({"ridge": 0.0}, "settings.ridge"),
        ({"growth": float("nan")}, "settings.growth"),
        ({"tolerance": -1.0}, "settings.tolerance"),
        ({"exploration": 1.5}, "settings.exploration"),
        ({"reset": 1}, "settings.reset"),
        ({"greedy": jnp.ones(2, bool)}, "settings.greedy"),
        ({"temperature": 1.0}, "unknown field"),
    ],
)
def test_settings_are_checked(changed, match):
    with pytest.raises(ValueError, match=match):
        nora.settings_of("nora", **changed)
    with pytest.raises(ValueError, match="unknown settings"):
        nora.settings_of("nroa")


def test_values_to_begin_with_have_a_shape():
    with pytest.raises(ValueError, match="values"):
        nora.nora(LOCK).init(values=np.zeros((2, 2)))
    rows = tabular.Transitions([9], [0], [0], [0.0], [0])
    with pytest.raises(ValueError, match=r"rows\.step"):
        nora.nora(LOCK).init(rows)
