"""SL-MGAC: two-hot targets, heads by group, only the bootstrap part bootstraps, and it plans."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxswarm import data, rollout
from jaxswarm.systems import sl_mgac
from jaxswarm.systems.sl_mgac._network import normalized
from tests.rl.bad_input import NUMBER, SIZE, accepted

BINS = np.array([0.0, 0.5, 1.0, 2.0, 4.0], np.float32)
CHAIN, GROUPS = 4, 2
METHODS = ("SL-MGAC", "SAC", "DQN")


# -- two-hot ---------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.0, 8.0, width=32), min_size=1, max_size=6))
def test_the_expectation_of_the_encoding_is_the_clipped_value(values):
    found = np.asarray(sl_mgac.two_hot(values, BINS))
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found @ BINS, np.minimum(values, 4.0), rtol=1e-5, atol=1e-6)
    assert (found >= 0.0).all()
    assert ((found > 0.0).sum(-1) <= 2).all()
    assert sl_mgac.num_clipped(values, BINS) == sum(v > 4.0 for v in values)


def test_bins_encode_themselves_and_logits_give_the_value_back():
    np.testing.assert_array_equal(sl_mgac.two_hot(BINS, BINS), np.eye(5))
    wanted = np.array([[0.3, 1.7], [3.9, 0.0]], np.float32)
    logits = jnp.log(sl_mgac.two_hot(wanted, BINS))
    np.testing.assert_allclose(sl_mgac.expected_value(logits, BINS), wanted, rtol=1e-5)
    np.testing.assert_allclose(sl_mgac.log_bins(4, 1.0, 100.0), [0.0, 1.0, 10.0, 100.0], rtol=1e-6)


# -- rows of a log ---------------------------------------------------------------------------------


def chain_log(sessions=400, seed=0):
    """Sessions of up to four requests; users with an insertion leave, mostly.

    An insertion earns .8 at once and costs .5 of the short video's time; so a bandit inserts, and a
    planner does so in the last request only. The state is the number of requests so far.
    """
    rng = np.random.default_rng(seed)
    session, action, short, step = [], [], [], []
    for s in range(sessions):
        for t in range(CHAIN):
            a = int(rng.random() < 0.5)
            session.append(s)
            action.append(a)
            short.append(1.0 - 0.5 * a)
            step.append(t)
            if a and rng.random() < 0.75:
                break
    action = np.array(action)
    log = data.interactions(
        session,
        action,
        {"short": np.array(short), "live": 1.3 * action},
        propensity=np.full(len(action), 0.5),
        features=np.eye(CHAIN)[step],
    )
    return log, np.arange(sessions) % GROUPS


@functools.cache
def rows_of():
    log, group = chain_log()
    return sl_mgac.log_rows(log, group, BINS, num_groups=GROUPS)


@functools.cache
def network_of():
    return sl_mgac.group_network(CHAIN, GROUPS, BINS, widths=(8,))


@functools.cache
def params_of():
    return jax.jit(network_of().init)(jax.random.key(7))


def test_rows_of_a_group_stand_together_and_next_rows_follow():
    rows = rows_of()
    log, group = chain_log()
    assert len(rows.action) == log.mask.sum()
    assert rows.num_clipped == 0
    np.testing.assert_array_equal(np.diff(rows.group) >= 0, True)
    np.testing.assert_array_equal(rows.counts, [(rows.group == g).sum() for g in range(GROUPS)])
    np.testing.assert_array_equal(rows.last.sum(), log.num_sessions)
    own = np.asarray(log.rewards)[group == 1][np.asarray(log.mask)[group == 1]]
    np.testing.assert_array_equal(rows.times[rows.starts[1] :], own)
    batch = jax.jit(sl_mgac.sample_rows, static_argnums=2)(jax.random.key(0), rows, 64)
    np.testing.assert_array_equal(np.bincount(batch.group), [32, 32])
    here, after = (np.asarray(x).argmax(1) for x in (batch.features, batch.next_features))
    going = ~np.asarray(batch.last)
    np.testing.assert_array_equal(after[going], here[going] + 1)


def test_returns_and_costs_of_a_log_are_those_by_hand():
    log = data.interactions(
        [0, 0, 0, 1, 1],
        [1, 0, 0, 0, 1],
        {"short": [1.0, 2.0, 4.0, 3.0, 1.0], "live": [5.0, 0.0, 0.0, 0.0, 2.0]},
        propensity=[0.5, 0.5, 0.25, 0.5, 0.5],
        features=np.zeros((5, 1)),
    )
    night = np.zeros((2, 3), bool)
    night[0, 1] = True
    rows = sl_mgac.log_rows(log, [0, 0], BINS, num_groups=1, night=night)
    assert rows.num_clipped == 1
    cost = sl_mgac.exposure_cost(rows)
    np.testing.assert_allclose(cost, [(2 * 2 + 4 * 4 + 2 * 3) / 8 - 1.0])
    found = sl_mgac.log_returns(rows, cost=1.0, multiplier=0.5, discount=0.5, night_discount=0.25)
    second = 1.0 + 0.25 * 2.0
    np.testing.assert_allclose(found, [5.0 + 0.5 * second, second, 2.0, 1.5 + 0.5 * 2.0, 2.0])
    hp = sl_mgac.calibrated(rows)
    np.testing.assert_allclose(hp.exposure_cost, cost)
    assert hp.value_std > 0.0


def test_the_usage_margin():
    found = sl_mgac.constraint_margin([9.0, 10.0, 9.5], 10.0, 0.05)
    np.testing.assert_allclose(found, [-0.05, 0.05, 0.0], atol=1e-9)


# -- networks --------------------------------------------------------------------------------------


def test_heads_of_a_group_are_separate_networks():
    """Each row's outputs are those of a network that has its group's head only."""
    network, params = network_of(), params_of()
    x = jax.random.normal(jax.random.key(1), (6, CHAIN))
    group = jnp.array([0, 1, 1, 0, 1, 0])
    single = sl_mgac.group_network(CHAIN, 1, BINS, widths=(8,))
    calls = {
        "reward": (network.times, single.times),
        "critic": (network.future, single.future),
        "actor": (network.policy, single.policy),
    }
    for part, (many, one) in calls.items():
        axis = 1 if part == "critic" else 0  # after the axis of critics
        found = np.asarray(many(params[part], x, group))
        found = np.moveaxis(found, axis, 0)
        for g in range(GROUPS):
            take = lambda leaf, g=g, axis=axis: jnp.take(leaf, jnp.array([g]), axis)  # noqa: E731
            own = params[part] | {"head": jax.tree.map(take, params[part]["head"])}
            wanted = np.moveaxis(np.asarray(one(own, x, jnp.zeros(6, int))), axis, 0)
            mine = np.asarray(group) == g
            np.testing.assert_allclose(found[mine], wanted[mine], rtol=1e-5, atol=1e-6)


def test_layer_norm_is_that_by_hand():
    x = np.random.default_rng(0).normal(2.0, 3.0, (4, 8)).astype(np.float32)
    layer = {"scale": np.full(8, 2.0, np.float32), "shift": np.arange(8, dtype=np.float32)}
    unit = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    found = normalized(jnp.asarray(x), layer)
    np.testing.assert_allclose(found, 2.0 * unit + np.arange(8), rtol=1e-4, atol=1e-4)


def test_permuting_users_permutes_values_and_actions():
    learner = sl_mgac.sl_mgac(network_of(), sl_mgac.calibrated(rows_of()))
    x = jax.random.normal(jax.random.key(2), (5, CHAIN))
    group, order = jnp.array([0, 1, 0, 1, 1]), jnp.array([3, 0, 4, 1, 2])
    for call in (learner.values, learner.rewards, learner.probabilities, learner.act):
        there = call(params_of(), x, group)[order]
        np.testing.assert_allclose(there, call(params_of(), x[order], group[order]), rtol=1e-5)


def test_without_groups_the_group_has_no_influence():
    learner = sl_mgac.sl_mgac(network_of(), sl_mgac.settings_of("no groups"))
    x = jax.random.normal(jax.random.key(3), (4, CHAIN))
    for call in (learner.values, learner.rewards, learner.probabilities):
        one, two = (call(params_of(), x, jnp.full(4, g)) for g in range(GROUPS))
        np.testing.assert_array_equal(one, two)
    with_groups = sl_mgac.sl_mgac(network_of())
    one, two = (with_groups.values(params_of(), x, jnp.full(4, g)) for g in range(GROUPS))
    assert np.abs(np.asarray(one - two)).max() > 1e-4


# -- learning --------------------------------------------------------------------------------------


@functools.cache
def one_step():
    """``step(switches, batch) -> state`` from the same weights, compiled once."""
    hp = sl_mgac.calibrated(rows_of())

    @jax.jit
    def step(switches, batch):
        learner = sl_mgac.sl_mgac(network_of(), hp._replace(**switches))
        return learner.step(None, learner.init(jax.random.key(7)), batch)[0]

    return step


def after_step(name, **changes):
    batch = sl_mgac.sample_rows(jax.random.key(5), rows_of(), 16)
    return one_step()(sl_mgac.SETTINGS[name], batch._replace(**changes)).params


def alike(one, two):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_only_the_bootstrap_part_bootstraps():
    """What follows a row moves the critics and never the reward heads; rewards do the reverse."""
    usual = after_step("SL-MGAC")
    other = after_step("SL-MGAC", next_features=jnp.ones((16, CHAIN)), last=jnp.zeros(16, bool))
    assert alike(usual["reward"], other["reward"])
    assert not alike(usual["critic"], other["critic"])
    rewarded = after_step("SL-MGAC", times=jnp.full((16, 2), 3.0))
    assert alike(usual["critic"], rewarded["critic"])  # no sampled reward in the target
    assert not alike(usual["reward"], rewarded["reward"])
    plain, rewarded = after_step("SAC"), after_step("SAC", times=jnp.full((16, 2), 3.0))
    assert not alike(plain["critic"], rewarded["critic"])


def test_layer_norm_and_the_actor_are_switches():
    scales = {name: after_step(name)["critic"]["trunk"][0]["scale"] for name in sl_mgac.SETTINGS}
    for name, scale in scales.items():
        learns = sl_mgac.SETTINGS[name]["layer_norm"]
        assert (np.asarray(scale) == 1.0).all() != learns


@pytest.fixture(scope="module")
def trained():
    """Weights and values of three methods on the chain, in one program."""
    rows, network = rows_of(), network_of()
    shared = sl_mgac.calibrated(rows, sl_mgac.Hyperparameters(lr=1e-2, tau=0.1))
    hp = [sl_mgac.settings_of(name, shared) for name in METHODS]
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *hp)
    states = jnp.tile(jnp.eye(CHAIN), (GROUPS, 1))
    group = jnp.repeat(jnp.arange(GROUPS), CHAIN)

    @jax.jit
    @jax.vmap
    def run(hp):
        learner = sl_mgac.sl_mgac(network, hp)
        algorithm = sl_mgac.offline(learner, 32)
        start = algorithm.init(jax.random.key(0))
        state, _ = rollout(algorithm.step, start, 1000, key=jax.random.key(1), inputs=rows)
        where = (state.params, states, group)
        return learner.values(*where), learner.rewards(*where), learner.act(*where)

    return dict(zip(METHODS, zip(*map(np.asarray, run(stacked)), strict=True), strict=True)), shared


def exact_values(rows, hp):
    """Optimal values of the chain's empirical model, by induction."""
    step = np.asarray(rows.features).argmax(1)
    q = np.zeros((CHAIN, 2))
    for t in range(CHAIN - 1, -1, -1):
        for a in (0, 1):
            at = (step == t) & (rows.action == a)
            stays = 1.0 - np.asarray(rows.last)[at].mean()
            reward = 1.3 * a + 1.0 - 0.5 * a  # λ = 1: the usage
            q[t, a] = reward + (hp.discount * stays * q[t + 1].max() if t + 1 < CHAIN else 0.0)
    return q


@pytest.mark.slow
def test_learners_find_the_values_and_wait_where_a_bandit_inserts(trained):
    found, hp = trained
    exact = exact_values(rows_of(), hp)
    assert exact[:3].argmax(1).tolist() == [0, 0, 0]
    assert exact[3].argmax() == 1
    for name, (values, rewards, actions) in found.items():
        error = np.abs(values - np.tile(exact, (GROUPS, 1)))
        assert error.max() < 0.5, (name, error)
        assert actions.reshape(GROUPS, CHAIN).tolist() == [[0, 0, 0, 1]] * GROUPS, name
        if name == "SL-MGAC":
            assert (rewards.argmax(1) == 1).all()  # the best reward at once is an insertion
            np.testing.assert_allclose(rewards[:, 0], 1.0, atol=0.1)


# -- bad input -------------------------------------------------------------------------------------


def log_of(**changes):
    columns = {"session": [0, 0, 1, 1], "action": [0, 1, 0, 1], "propensity": [0.5] * 4}
    columns |= {"features": np.zeros((4, 2))}
    columns |= {"rewards": {"short": [1.0] * 4, "live": [0.0, 1.0, 0.0, 9.0]}}
    return data.interactions(**(columns | changes))


def rows(log=None, group=(0, 1), bins=BINS, num_groups=2, **options):
    return sl_mgac.log_rows(log or log_of(), group, bins, num_groups=num_groups, **options)


def learner(**changes):
    network = sl_mgac.group_network(2, 2, BINS, widths=(4,))
    return sl_mgac.sl_mgac(network, sl_mgac.Hyperparameters(**changes))


def stepped(**changes):
    batch = sl_mgac.LogBatch(
        np.zeros((2, 2), np.float32),
        np.array([0, 1]),
        np.array([0, 1]),
        np.ones((2, 2), np.float32),
        np.zeros(2, bool),
        np.ones(2, bool),
        np.zeros((2, 2), np.float32),
    )
    return learner().step(jax.random.key(0), None, batch._replace(**changes))


def fitted(rows):
    sl_mgac.fit(jax.random.key(0), learner(), rows, num_steps=1, batch_size=4)


BAD = {
    "action": (lambda: rows(log_of(action=[0, 2, 0, 1])), "log.actions"),
    "vector action": (lambda: rows(log_of(action=np.full((4, 1), 0.5))), "log.actions"),
    "group": (lambda: rows(group=[0, 2]), "group: expected whole numbers in"),
    "negative group": (lambda: rows(group=[-1, 0]), "group"),
    "empty group": (lambda: rows(group=[0, 0]), r"group: .* got none of \[1\]"),
    "unsorted bins": (lambda: rows(bins=[0.0, 2.0, 1.0]), "bins: expected"),
    "repeated bins": (lambda: rows(bins=[0.0, 1.0, 1.0]), "bins: expected"),
    "first bin": (lambda: rows(bins=[0.5, 1.0]), "bins: expected"),
    "negative times": (lambda: rows(log_of(rewards=-np.ones((4, 2)))), "log.rewards"),
    "one reward": (lambda: rows(log_of(rewards=[1.0] * 4)), "log.rewards"),
    "no propensity": (lambda: log_of(propensity=None), "propensity"),
    "zero propensity": (lambda: log_of(propensity=[0.0, 0.5, 0.5, 0.5]), "propensity"),
    "log": (lambda: rows(log=3), "log: expected"),
    "night": (lambda: rows(night=np.zeros(2, bool)), "night"),
    "mask": (lambda: rows(replace(log_of(), mask=np.zeros((2, 2), bool))), "log.mask"),
    "delta": (lambda: sl_mgac.constraint_margin(1.0, 1.0, 1.0), "delta"),
    "baseline": (lambda: sl_mgac.constraint_margin(1.0, 0.0, 0.1), "baseline"),
    "values": (lambda: sl_mgac.two_hot([-1.0], BINS), "values"),
    "logits": (lambda: sl_mgac.expected_value(jnp.zeros(3), BINS), "logits"),
    "one action": (lambda: sl_mgac.exposure_cost(rows(log_of(action=[0, 0, 0, 1]))), "rows"),
    "batch size": (lambda: sl_mgac.sample_rows(jax.random.key(0), rows(), 3), "batch_size"),
    "network": (lambda: sl_mgac.sl_mgac(3), "network"),
    "setting": (lambda: sl_mgac.settings_of("SL-MGCA"), "SL-MGAC"),
    "entropy": (lambda: learner(target_entropy=1.0), "target_entropy"),
    "tau": (lambda: learner(tau=0.0), "tau"),
    "cost": (lambda: learner(exposure_cost=[0.1, 0.1, 0.1]), "exposure_cost"),
    "switch": (lambda: learner(groups=2), "groups"),
    "batch action": (lambda: stepped(action=np.array([0, 2])), "batch.action"),
    "batch group": (lambda: stepped(group=np.array([0, 2])), "batch.group"),
    "batch times": (lambda: stepped(times=-np.ones((2, 2))), "batch.times"),
    "features": (lambda: stepped(features=np.zeros((2, 3))), "batch.features"),
    "rows": (lambda: fitted(rows_of()), "inputs: expected rows of 2 features"),
    "no rows": (lambda: fitted(3), "rows"),
    "learner": (lambda: sl_mgac.offline(3, 4), "learner"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_sizes_and_numbers_are_named():
    def network(num_features=2, num_groups=2, num_critics=1, widths=(4,)):
        sl_mgac.group_network(
            num_features, num_groups, BINS, num_critics=num_critics, widths=widths
        )

    assert not accepted(network, {n: SIZE for n in ("num_features", "num_groups", "num_critics")})
    numbers = {name: NUMBER for name in ("lr", "tau", "discount", "multiplier", "value_std")}
    assert not accepted(learner, numbers)


def test_the_act_of_a_group_out_of_range_is_refused():
    with pytest.raises(ValueError, match="group"):
        learner().act(None, np.zeros((1, 2)), [2])
