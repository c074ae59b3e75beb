"""Value decomposition: mixers' laws, the loss against a slow oracle, absent agents, learning."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, gossip, rl, topology
from jaxswarm.rl import pareto
from jaxswarm.rl import value_decomposition as vd
from jaxswarm.rl.value_decomposition.episodes import Episodes, play, vector_reward
from jaxswarm.rl.value_decomposition.networks import team_sequence, team_step
from jaxswarm.rl.value_decomposition.preferences import (
    guided_preferences,
    rounded_preferences,
    uniform_preferences,
)
from tests.later import Later
from tests.rl.bad_input import (
    FEW_SIZES,
    KEY,
    NAN,
    NUMBER,
    OBJECT,
    SIZE,
    THING,
    accepted,
    with_defaults,
)
from tests.rl.rl_absent import Absent

KEY0 = jax.random.key(0)
SMALL = (((0, 1), (1.0, 0.0)), ((1, 0), (0.0, 1.0)), ((1, 1), (0.75, 0.75)))
ENV = envs.TwoObjectiveGrid(size=2, time_limit=2, treasures=SMALL)
VECTOR = vd.value_network_for(ENV, "monotonic", objectives=2, hidden_size=6, mixer_width=3)
SCALAR = vd.value_network_for(ENV, "monotonic", hidden_size=6, mixer_width=3)
SUMS = vd.value_network_for(ENV, "additive", hidden_size=6)
ALONE = vd.value_network_for(ENV, "independent", hidden_size=6)
PARAMS = Later(lambda: jax.jit(VECTOR.init)(KEY0))
OPTIONS = {"num_envs": 4, "batch_size": 4, "capacity": 8, "grid": vd.preference_grid(2)}


def team_values(n=3, m=2, batch=5, seed=0):
    rng = np.random.default_rng(seed)
    q, state = rng.normal(size=(batch, n, m)), rng.normal(size=(batch, 4))
    return jnp.float32(q), jnp.float32(state), jnp.ones((batch, n), bool)


# Mixers


def test_monotonic_tracks_never_fall_and_are_separate():
    mixer = vd.monotonic(3, 4, 2, width=5)
    params = mixer.init(KEY0)
    q, state, present = team_values()

    def total(q, state, present):
        return mixer.mix(params, q[None], state[None], present[None])[0][0, 0]

    slope = jax.jit(jax.vmap(jax.jacobian(total)))(q, state, present)  # [B, m, N, m]
    for k, other in ((0, 1), (1, 0)):
        assert float(slope[:, k, :, k].min()) >= 0.0
        assert float(slope[:, k, :, k].max()) > 0.0
        np.testing.assert_array_equal(slope[:, k, :, other], 0.0)
    negative = jax.tree.map(lambda x: -x, params)  # weights are absolute values
    slope = jax.jacobian(lambda q: mixer.mix(negative, q, state, present)[0].sum(axis=(0, 1)))(q)
    assert float(slope[0, :, :, 0].min()) >= 0.0


def test_vdn_is_the_sum_and_absent_agents_have_no_value():
    q, state, present = team_values()
    added, counts = vd.additive(3).mix({}, q, state, present)
    np.testing.assert_allclose(added[:, 0], q.sum(axis=1), rtol=1e-6)
    weighted = vd.additive(3, [1.0, 0.5, 0.0]).mix({}, q, state, present)[0]
    np.testing.assert_allclose(weighted[:, 0], q[:, 0] + 0.5 * q[:, 1], rtol=1e-6)
    assert bool(counts.all())
    some = present.at[:, 0].set(False).at[0].set(False)
    for mixer in (vd.independent(), vd.additive(3), vd.monotonic(3, 4, 2)):
        params = mixer.init(KEY0)
        one, two = (
            mixer.mix(params, jnp.where(some[..., None], q, junk), state, some)
            for junk in (jnp.nan, 7.0)
        )
        np.testing.assert_array_equal(one[0], two[0])
        assert np.isfinite(one[0]).all()
        expected = some if mixer.kind == "independent" else some.any(axis=1, keepdims=True)
        np.testing.assert_array_equal(one[1], expected)


def test_igm_holds_for_sums_and_for_one_objective_but_not_for_weighted_tracks():
    rng = np.random.default_rng(1)
    joint = list(itertools.product(range(4), repeat=2))

    def misses(mixer, m, trials=200):
        params = mixer.init(jax.random.key(3))
        q = rng.normal(size=(trials, 2, 4, m)) * 3.0
        state, w = rng.normal(size=(trials, 3)), rng.dirichlet(np.ones(m), trials)
        chosen = np.stack([q[:, [0, 1], list(pair)] for pair in joint], axis=1)  # [B, J, N, m]
        count = trials * len(joint)
        mixed, _ = jax.jit(mixer.mix)(
            params,
            jnp.float32(chosen.reshape(count, 2, m)),
            jnp.float32(np.repeat(state, len(joint), axis=0)),
            jnp.ones((count, 2), bool),
        )
        score = np.einsum("bjm,bm->bj", np.reshape(mixed, (trials, len(joint), m)), w)
        own = np.einsum("bnam,bm->bna", q, w).argmax(axis=-1)
        taken = score[np.arange(trials), own[:, 0] * 4 + own[:, 1]]
        return np.mean(taken < score.max(axis=1) - 1e-4)

    assert misses(vd.additive(2), 2) == 0.0
    assert misses(vd.monotonic(2, 3, 1), 1) == 0.0
    assert misses(vd.monotonic(2, 3, 2), 2) > 0.0


@pytest.mark.slow
def test_igm_violations_are_those_counted_by_hand():
    grid = vd.preference_grid(4)
    report = jax.jit(lambda p: vd.igm_violations(KEY0, ENV, VECTOR, p, grid))(PARAMS.value)
    zeros = jnp.zeros(len(grid))
    w = jnp.repeat(jnp.asarray(grid)[:, None], 2, axis=1)
    given = (KEY0, ENV, VECTOR, PARAMS.value["agent"], w, zeros, vector_reward)
    episodes = jax.jit(lambda: play(*given, shared=True))()
    features = jnp.moveaxis(episodes.features, 1, 0)
    q = team_sequence(VECTOR, PARAMS.value["agent"], features, w, shared=True)
    violated = []
    for row, step in itertools.product(range(len(grid)), range(ENV.time_limit)):
        state, values = episodes.state[row, step][None], {}
        for pair in itertools.product(range(5), repeat=2):
            chosen = q[step, row, jnp.arange(2), jnp.array(pair)][None]
            mixed, _ = VECTOR.mixer.mix(
                PARAMS.value["mixer"], chosen, state, jnp.ones((1, 2), bool)
            )
            values[pair] = float(mixed[0, 0] @ grid[row])
        taken = values[tuple(episodes.action[row, step].tolist())]
        violated.append(taken < max(values.values()) - 1e-5)
    assert float(report.rate) == pytest.approx(np.mean(violated))
    assert int(report.steps) == len(violated)
    params = jax.jit(SUMS.init)(KEY0)
    assert float(vd.igm_violations(KEY0, ENV, SUMS, params).rate) == 0.0


# Networks and episodes


@pytest.mark.slow
def test_a_sequence_is_its_steps_for_shared_and_own_networks():
    rng = np.random.default_rng(0)
    features = jnp.float32(rng.normal(size=(3, 4, 2, VECTOR.num_features)))
    w = jnp.float32(rng.dirichlet(np.ones(2), (4, 2)))
    own = vd.initial_params(KEY0, VECTOR, shared=False)["agent"]
    own = jax.tree.map(lambda x: x * jnp.array([1.0, 0.5]).reshape(2, *(1,) * (x.ndim - 1)), own)
    for params, shared in ((PARAMS.value["agent"], True), (own, False)):
        whole = team_sequence(VECTOR, params, features, w, shared=shared)
        carry = jnp.zeros((4, 2, VECTOR.hidden_size))
        for t in range(3):
            carry, q = team_step(VECTOR, params, carry, features[t], w, shared=shared)
            np.testing.assert_allclose(q, whole[t], rtol=1e-4, atol=1e-6)
    alike = vd.initial_params(KEY0, VECTOR, shared=False)["agent"]  # all agents start equal
    one = team_sequence(VECTOR, PARAMS.value["agent"], features, w, shared=True)
    two = team_sequence(VECTOR, alike, features, w, shared=False)
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_episodes_end_where_the_environment_does():
    env = envs.DeepSeaTreasure(time_limit=4)
    network = vd.value_network_for(env, "additive", objectives=2, hidden_size=4)
    params = jax.jit(network.init)(KEY0)
    down = params["agent"]["values"]["bias"].at[2].set(50.0)  # action 1, first objective
    params["agent"]["values"]["bias"] = down
    grid = jnp.array([[1.0, 0.0]])
    returns = jax.jit(lambda p: vd.objective_returns(KEY0, env, network, p, grid))(params)
    assert returns.tolist() == [[1.0, -1.0]]
    given = (KEY0, env, network, params["agent"], grid[:, None], jnp.zeros(1), vector_reward)
    episode = jax.jit(lambda: play(*given, shared=True))()
    assert episode.valid.tolist() == [[True, False, False, False]]
    assert episode.discount[0, 0] == 0.0
    assert episode.reward[0, 1:].tolist() == [[0.0, 0.0]] * 3
    assert episode.present[0, :, 0].tolist() == [True, False, False, False, False]


# Loss


def random_batch(network, seed=0, count=3, steps=2):
    rng = np.random.default_rng(seed)
    n, m = network.num_agents, network.num_objectives
    valid = np.ones((count, steps), bool)
    valid[0, 1:] = False
    return Episodes(
        jnp.float32(rng.normal(size=(count, steps + 1, n, network.num_features))),
        jnp.float32(rng.normal(size=(count, steps + 1, network.mixer.state_size))),
        jnp.ones((count, steps + 1, n), bool),
        jnp.int32(rng.integers(0, network.num_actions, (count, steps, n))),
        jnp.float32(rng.normal(size=(count, steps, m))),
        jnp.float32(rng.integers(0, 2, (count, steps))),
        jnp.asarray(valid),
    )


def loss_by_hand(network, params, target, batch, w, discount, bootstrap):
    """The same, one decision at a time."""
    features = jnp.moveaxis(batch.features, 1, 0)
    q, tq = (
        np.asarray(team_sequence(network, p["agent"], features, w, shared=True))
        for p in (params, target)
    )
    n, errors = network.num_agents, []

    def joint(p, values, row, step):
        state, present = batch.state[row, step][None], batch.present[row, step][None]
        return np.asarray(
            network.mixer.mix(p["mixer"], jnp.asarray(values)[None], state, present)[0]
        )

    for row, step in itertools.product(*map(range, batch.valid.shape)):
        if not batch.valid[row, step]:
            continue
        chosen = np.stack([q[step, row, i, batch.action[row, step, i]] for i in range(n)])
        score = np.einsum("nam,nm->na", q[step + 1, row], w[row])
        best = np.stack([tq[step + 1, row, i, score[i].argmax()] for i in range(n)])
        go_on = float(batch.discount[row, step])
        go_on *= bootstrap or step < batch.valid.shape[1] - 1
        goal = (
            np.asarray(batch.reward[row, step])
            + discount * go_on * joint(target, best, row, step + 1)[0]
        )
        error = joint(params, chosen, row, step)[0] - goal
        errors += np.square(error).sum(axis=-1).tolist()
    return np.mean(errors)


@pytest.mark.slow
@pytest.mark.parametrize("bootstrap", [True, False])
def test_the_loss_is_that_of_single_decisions(bootstrap):
    batch = random_batch(VECTOR)
    w = jnp.float32(np.random.default_rng(2).dirichlet(np.ones(2), (3, 1)).repeat(2, axis=1))
    target = jax.tree.map(lambda x: 0.7 * x + 0.01, PARAMS.value)
    given = (VECTOR, PARAMS.value, target, batch, w, 0.9)
    found = vd.td_loss(*given, shared=True, bootstrap=bootstrap)
    assert float(found) == pytest.approx(loss_by_hand(*given, bootstrap), rel=1e-4)
    after = batch._replace(  # what follows the end has no influence
        reward=batch.reward.at[0, 1:].set(99.0), action=batch.action.at[0, 1:].set(0)
    )
    again = vd.td_loss(*given[:3], after, w, 0.9, shared=True, bootstrap=bootstrap)
    assert float(again) == pytest.approx(float(found), rel=1e-6)


# Preferences


def test_preferences_are_on_the_simplex_and_gaps_are_between_neighbors():
    assert len(vd.preference_grid(4, 3)) == 15
    for m in (2, 3):
        np.testing.assert_allclose(uniform_preferences(KEY0, 50, m).sum(axis=1), 1.0, rtol=1e-5)
    grid = vd.preference_grid(5)
    returns = jnp.float32([[0, 9], [0, 9], [3, 5], [2, 2], [8, 5], [8, 5]])
    found = jax.jit(vd.gaps)(grid, returns)  # (3, 5) and (2, 2) are dominated
    gap = np.asarray(found.length) > 0
    assert gap.sum() == 1
    np.testing.assert_allclose(found.preference[gap], [[0.5, 0.5]], atol=1e-6)
    assert float(found.length.max()) == pytest.approx(np.hypot(8, 4))
    two = jax.jit(vd.gaps)(grid, returns.at[2].set(jnp.array([1.0, 8.0])))
    np.testing.assert_allclose(two.length, [0, np.hypot(1, 1), np.hypot(7, 3), 0, 0, 0], rtol=1e-5)
    draws = np.asarray(guided_preferences(KEY0, 4000, two, 0.5))
    np.testing.assert_allclose(draws.sum(axis=1), 1.0, rtol=1e-5)
    for place, length in ((1, np.hypot(1, 1)), (2, np.hypot(7, 3))):
        hits = np.mean(np.all(draws == np.asarray(two.preference[place]), axis=1))
        assert hits == pytest.approx(0.5 * length / float(two.length.sum()), abs=0.03)
    nowhere = vd.gaps(grid, jnp.zeros((6, 2)))
    assert len(np.unique(guided_preferences(KEY0, 100, nowhere, 0.0), axis=0)) == 100


@pytest.mark.parametrize("make", [lambda: ENV, lambda: envs.CoverageEnergy(2, time_limit=2)])
def test_the_scalar_reward_is_the_preferred_sum_of_the_vector(make):
    env = make()
    w = np.float32([0.3, 0.7])
    state, _ = env.reset(KEY0, env.params._replace(preference=w))
    step = jax.jit(env.step)
    for action in ([4, 2], [1, 3]):
        state, timestep = step(state, jnp.array(action))
        expected = float(timestep.extras["objectives"] @ w)
        np.testing.assert_allclose(timestep.reward, expected, atol=1e-6)


# Learners


@functools.cache
def trained(kind):
    """``(network, params, info)`` after training on the small game, one program each."""
    networks = {"qmix": SCALAR, "mo_mix": VECTOR}
    network = networks[kind]
    options = OPTIONS | {"num_envs": 8, "updates": 2, "batch_size": 16, "capacity": 200}
    if kind == "qmix":
        options.pop("grid")
    hp = vd.ValueHyperparameters(lr=0.01, discount=1.0, tau=0.1, epsilon_steps=60.0)
    learner = getattr(rl, kind)(ENV, network, bootstrap=False, hyperparameters=hp, **options)

    def run(key):
        state = learner.init(vd.initial_params(key, network), key)
        step = lambda state, key: learner.step(key, state)  # noqa: E731
        state, info = jax.lax.scan(step, state, jax.random.split(key, 100))
        return state, info

    state, info = jax.jit(run)(jax.random.key(5))
    return network, state.params, info


@pytest.mark.slow
def test_mo_mix_finds_the_whole_front_of_a_small_game():
    network, params, info = trained("mo_mix")
    truth = pareto.front(envs.two_objectives.attainable_returns(ENV))
    grid = vd.preference_grid(10)
    front = vd.objective_returns(KEY0, ENV, network, params, grid)
    low = np.full(2, -0.1, np.float32)
    share = pareto.hypervolume(front, low) / pareto.hypervolume(truth, low)
    assert float(share) > 0.9
    assert np.isfinite(info.loss).all()
    assert info.epsilon[0] == 1.0
    np.testing.assert_allclose(info.epsilon[-1], 0.05, rtol=1e-5)


@pytest.mark.slow
def test_qmix_learns_the_weighted_game():
    network, params, _ = trained("qmix")
    best = envs.two_objectives.attainable_returns(ENV).sum(axis=1).max()
    returns = vd.objective_returns(KEY0, ENV, network, params)
    assert float(returns.sum()) > 0.9 * best


@pytest.mark.slow
def test_absent_agents_change_nothing_and_own_networks_gossip():
    env = Absent(3, discrete=True)
    network = vd.value_network_for(env, "independent", hidden_size=3)
    ring = gossip.averaging(gossip.mixing(topology.ring(3)))
    learner = vd.value_learner(
        env, network, shared=False, gossip=ring, num_envs=2, batch_size=2, capacity=4
    )
    start = jax.jit(
        lambda physics: learner.init(vd.initial_params(KEY0, network, shared=False), KEY0, physics)
    )
    step = jax.jit(learner.step)

    def run(present, junk):
        first = state = start(env.params._replace(present=jnp.array(present), junk=junk))
        for index in range(2):
            state, info = step(jax.random.key(index), state)
        return first, state, info

    def parts(state, agent):
        own = (state.params["agent"], state.target["agent"], state.opt_state["agent"])
        return jax.tree.leaves(jax.tree.map(lambda x: x[agent], own))

    before, after, info = run([False, True, True], jnp.float32(NAN))
    _, other, _ = run([False, True, True], jnp.float32(7.0))
    for one, two in zip(jax.tree.leaves(after.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.isfinite(one).all()
    for one, two in zip(parts(before, 0), parts(after, 0), strict=True):
        np.testing.assert_array_equal(one, two)
    moved = [
        not np.array_equal(a, b) for a, b in zip(parts(before, 1), parts(after, 1), strict=True)
    ]
    assert np.mean(moved) > 0.5
    assert int(info.traffic.messages) == 2  # the two that are present
    before, after, _ = run([False] * 3, jnp.float32(NAN))
    for name in ("params", "target", "opt_state", "replay"):
        old, new = (jax.tree.leaves(getattr(state, name)) for state in (before, after))
        for one, two in zip(old, new, strict=True):
            np.testing.assert_array_equal(one, two)


# Bad input


W = np.full((1, 2), 0.5, np.float32)
OFF_SIMPLEX = ([[0.5, 0.6]], [[-0.1, 1.1]], [[1.0]], [[0.2, 0.3, 0.5]], [[NAN, 1.0]], "x", 3)
BATCH = Episodes(
    features=np.zeros((2, 3, 2, VECTOR.num_features), np.float32),
    state=np.zeros((2, 3, VECTOR.mixer.state_size), np.float32),
    present=np.ones((2, 3, 2), bool),
    action=np.zeros((2, 2, 2), np.int32),
    reward=np.zeros((2, 2, 2), np.float32),
    discount=np.ones((2, 2), np.float32),
    valid=np.ones((2, 2), bool),
)
BAD_BATCHES = [
    BATCH._replace(**{name: bad})
    for name, whole in BATCH._asdict().items()
    for bad in (whole[:1], whole[:, :1], whole.astype(np.complex64), None, "x")
]
HP = vd.ValueHyperparameters
HYPER = (3, [1], object(), rl.SACHyperparameters())
RING = gossip.averaging(gossip.mixing(topology.ring(2)))
CASES = {
    "additive": (
        with_defaults(vd.additive, num_agents=2),
        {"num_agents": SIZE, "agent_weights": ([-1.0, 1.0], [1.0], [NAN, 1.0], "x")},
    ),
    "monotonic": (
        with_defaults(vd.monotonic, num_agents=2, state_size=3),
        {"num_agents": SIZE, "state_size": SIZE, "num_objectives": SIZE, "width": SIZE},
    ),
    "independent": (vd.independent, {}),
    "preference_grid": (vd.preference_grid, {"divisions": SIZE, "num_objectives": (*SIZE, 1)}),
    "gaps": (
        with_defaults(vd.gaps, preferences=W, returns=W),
        {"preferences": (*OFF_SIMPLEX, [0.5, 0.5]), "returns": ([[1.0]], [[NAN, 1.0]], "x", None)},
    ),
    "value_network": (
        with_defaults(
            vd.value_network, num_agents=2, num_features=3, num_actions=2, mixer=vd.additive(2)
        ),
        {"num_agents": SIZE, "num_features": SIZE, "num_actions": SIZE, "mixer": OBJECT}
        | {"num_objectives": SIZE, "hidden_size": SIZE},
    ),
    "value_network_for": (
        with_defaults(vd.value_network_for, env=ENV),
        {"env": (*OBJECT, envs.SimpleSpread(2)), "mixer": ("monotonik", 3, None)}
        | {"objectives": (0, 1, 3, 2.5, "2"), "hidden_size": FEW_SIZES, "mixer_width": FEW_SIZES}
        | {"agent_weights": ([1.0, 1.0],)},
    ),
    "initial_params": (
        with_defaults(vd.initial_params, key=KEY0, network=VECTOR),
        {"key": KEY, "network": OBJECT, "shared": (1, None)},
    ),
    "value_learner": (
        with_defaults(vd.value_learner, env=ENV, network=VECTOR),
        {"env": (*OBJECT, envs.TwoObjectiveGrid(3)), "network": OBJECT, "num_envs": FEW_SIZES}
        | {"updates": FEW_SIZES, "batch_size": FEW_SIZES, "capacity": (*FEW_SIZES, 8)}
        | {"grid": (*OFF_SIMPLEX, vd.preference_grid(20)), "grid_every": FEW_SIZES}
        | {"bootstrap": (1, None), "shared": (1, None), "gossip": (*THING, RING)}
        | {"optimizer": THING, "hyperparameters": HYPER},
    ),
    "independent_q": (
        with_defaults(rl.independent_q, env=ENV, network=ALONE),
        {"network": (*OBJECT, SCALAR, VECTOR)},
    ),
    "vdn": (with_defaults(rl.vdn, env=ENV, network=SUMS), {"network": (*OBJECT, SCALAR, VECTOR)}),
    "qmix": (with_defaults(rl.qmix, env=ENV, network=SCALAR), {"network": (*OBJECT, SUMS, VECTOR)}),
    "mo_mix": (
        with_defaults(rl.mo_mix, env=ENV, network=VECTOR),
        {"network": (*OBJECT, SUMS, SCALAR), "guide": ("gap", 3, None), "hyperparameters": HYPER},
    ),
    "objective_returns": (
        with_defaults(
            vd.objective_returns, key=KEY0, env=ENV, network=VECTOR, params=PARAMS, preferences=W
        ),
        {"key": KEY, "env": OBJECT, "network": (*OBJECT,), "params": (None, 3, {"agent": {}})}
        | {"preferences": (None, *OFF_SIMPLEX), "num_episodes": FEW_SIZES, "shared": (1,)},
    ),
    "igm_violations": (
        with_defaults(
            vd.igm_violations, key=KEY0, env=ENV, network=VECTOR, params=PARAMS, preferences=W
        ),
        {"key": KEY, "env": OBJECT, "network": OBJECT, "preferences": (None, *OFF_SIMPLEX)}
        | {"params": (None, 3), "shared": (1, None)},
    ),
    "td_loss": (
        with_defaults(
            lambda **given: jax.eval_shape(lambda: vd.td_loss(**given)),  # refuses while tracing
            network=VECTOR,
            params=PARAMS,
            target=PARAMS,
            batch=BATCH,
            preference=np.full((2, 2, 2), 0.5, np.float32),
            discount=0.9,
            shared=True,
            bootstrap=True,
        ),
        {"network": OBJECT, "params": (None, 3, {"agent": {}}, {"agent": 1, "mixer": 2})}
        | {
            "target": (None, 3, Later(lambda: {**PARAMS.value, "agent": {}})),
            "shared": (1, None),
            "bootstrap": (0, "x"),
        }
        | {"batch": (*OBJECT, BATCH._replace(action=3), *BAD_BATCHES)}
        | {"preference": (None, *OFF_SIMPLEX, W, np.full((3, 2, 2), 0.5))}
        | {"discount": (*NUMBER, -0.1, 1.1)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    public = {name for name in vd.__all__ if not hasattr(getattr(vd, name), "_fields")}
    assert public == set(CASES)


def test_every_hyperparameter_is_checked():
    make = lambda **given: vd.value_learner(ENV, VECTOR, hyperparameters=HP(**given))  # noqa: E731
    bad = {name: (*NUMBER, -1.0, jnp.float32(-1.0)) for name in HP._fields}
    assert accepted(make, bad) == []


def test_training_can_be_restricted_to_a_grid_of_preferences():
    drawn = uniform_preferences(KEY0, 200, 2)
    coarse = np.asarray(rounded_preferences(drawn, 0.5))
    assert set(coarse[:, 0].tolist()) == {0.0, 0.5, 1.0}
    np.testing.assert_array_equal(coarse.sum(axis=1), 1.0)
    assert np.abs(coarse - drawn).max() <= 0.25 + 1e-6
    np.testing.assert_array_equal(rounded_preferences(drawn, 0.0), drawn)  # any preference
    assert np.asarray(rounded_preferences(drawn, 0.3)).max() <= 1.0
    with pytest.raises(ValueError, match="preference_interval: expected 0 for 1 objectives"):
        vd.value_learner(ENV, SCALAR, hyperparameters=HP(preference_interval=0.5))


def test_a_guide_of_gaps_is_of_two_objectives():
    three = VECTOR._replace(num_objectives=3)
    with pytest.raises(ValueError, match="guide: expected 'uniform'"):
        rl.mo_mix(ENV, three)
    with pytest.raises(ValueError, match="grid: expected None for 1 objectives"):
        rl.qmix(ENV, SCALAR, grid=W)
