"""Networked learners under every kind of gossip rule: laws that hold whatever is learned.

Each rule records the messages that learners sent after their own updates (``recorded``), so that an
exchange can be checked against numpy without knowing what was learned in between.
"""

import functools
import itertools
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jumanji import specs

from jaxswarm import agents, envs, gossip, rl, simulate, topology
from jaxswarm.envs import Outcome, SwarmEnvironment
from jaxswarm.rl import networked
from jaxswarm.rl.networked.reward_model import encode_actions
from tests.later import Later, built
from tests.rl.rl_worlds import Observation

N, WIDTH, FRACTION = 5, 4, 0.25
GRAPHS = {
    "ring": topology.ring(N),
    "complete": topology.complete(N),
    "star": topology.star(N),
    "empty": topology.from_edges(np.zeros((0, 2), np.int32), N),
}
EDGES = {"ring": 2 * N, "complete": N * (N - 1), "star": 2 * (N - 1), "empty": 0}
EVERY = Later(
    lambda: gossip.mixing(topology.stack(list(GRAPHS.values())), layout="dense", connected=False)
)
BYZANTINE = np.arange(N) == 1


def sequence(*names):
    """Operators of three rounds; all sequences are arguments of one program."""
    assert len(names) == 3
    picked = jnp.array([list(GRAPHS).index(name) for name in names])
    return jax.tree.map(lambda x: x[picked], EVERY.value)


RING = Later(lambda: sequence("ring", "ring", "ring"))
FULL = Later(lambda: sequence("complete", "complete", "complete"))
MOVING = Later(lambda: sequence("ring", "complete", "star"))
EMPTY = Later(lambda: sequence("empty", "empty", "empty"))
NONE = np.zeros(N, bool)


class Recorded(NamedTuple):
    sent: Any
    inner: Any


def recorded(rule):
    """``rule``, whose state also has the messages that it got."""

    def mix(key, params, state, exchange):
        out, inner, sent = rule.mix(key, params, state.inner, exchange)
        return out, Recorded(params, inner), sent

    return gossip.GossipTransformation(lambda params: Recorded(params, rule.init(params)), mix)


RULES = {
    "averaging": lambda W, byzantine: gossip.attacked(
        gossip.averaging(W), gossip.attacks.sign_flip(10.0), byzantine
    ),
    "compressed": lambda W, byzantine: gossip.compressed(
        gossip.averaging(W), gossip.top_k(FRACTION), step_size=0.3
    ),
    "delayed": lambda W, byzantine: gossip.delayed(gossip.averaging(W), 1),
    "trimmed_mean": lambda W, byzantine: gossip.attacked(
        gossip.robust.trimmed_mean(GRAPHS["complete"], 1), gossip.attacks.sign_flip(10.0), byzantine
    ),
}


def one_of(rules, which):
    """Rule number ``which``, traced."""

    def init(params):
        return tuple(rule.init(params) for rule in rules)

    def mix(key, params, state, exchange):
        def branch(index):
            def chosen():
                out, inner, sent = rules[index].mix(key, params, state[index], exchange)
                return out, (*state[:index], inner, *state[index + 1 :]), sent

            return chosen

        return jax.lax.switch(which, [branch(index) for index in range(len(rules))])

    return gossip.GossipTransformation(init, mix)


class Inputs(NamedTuple):
    """Inputs of a run: all that differs between the tests, so that each learner compiles once."""

    rule: Any  # number in RULES
    W: Any
    byzantine: Any
    team: Any
    hp: Any

    def gossip(self):
        return recorded(
            one_of([make(self.W, self.byzantine) for make in RULES.values()], self.rule)
        )


class Case(NamedTuple):
    """A learner: how it is made and started, and where its state keeps what it exchanges."""

    make: Any
    params: Any  # params(key, apart)
    begin: Any  # begin(algorithm, params, key)
    exchanges: Any  # exchanges(state) -> [(state of the rule, result), …]
    critics: Any
    actors: Any
    learning: Any
    frozen: Any
    sizes: Any  # of one agent's leaves, by hand


def layers(*widths):
    """Entries of the weights and biases of dense layers."""
    pairs = itertools.pairwise(widths)
    return [size for fan, width in pairs for size in (fan * width, width)]


DONATIONS = envs.Donations(N, time_limit=5)  # features: 2 of its own, 2 of the team, 2 N actions
POLICY = rl.network_for(DONATIONS, critic="global", widths=(WIDTH,))
PENDULA = envs.Pendulum(N, time_limit=10)  # features: 3, an action of 1
Q = rl.q_network_for(PENDULA, widths=(WIDTH,))
GAME = Later(lambda: networked.random_game(N, 4, 2, seed=1))
FEATURES = Later(lambda: networked.random_features(GAME.value, 2, 3, seed=2))


def ppo(rule, **options):
    sizes = {"num_envs": 2, "num_steps": 10, "epochs": 2, "minibatches": 1, "reward_steps": 4}
    return networked.networked_ppo(DONATIONS, POLICY, rule, reward_widths=(3,), **sizes, **options)


def sac(rule, **options):
    sizes = {"num_envs": 2, "batch_size": 8, "capacity": 64, "warm_up": 8}
    return networked.networked_sac(PENDULA, Q, rule, reward_widths=(3,), **sizes, **options)


def drawn(network):
    draw = jax.jit(lambda key: rl.initialize(key, network, N, shared=False))

    def params(key, apart):
        own = draw(key)
        common = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), own["critic"])
        return own if apart else own | {"critic": common}

    return params


def sac_exchange(state):
    held = state.agents.learner
    parts = {
        "critic": held.sac.params["critic"],
        "target_critic": held.sac.target_critic,
        "reward_model": held.reward_model.params,
        "second_moments": held.reward_model.opt_state.nu,
    }
    return [(state.gossip, parts)]


def ppo_exchange(state):
    held = state.reward_model
    models = {"reward_model": held.params, "second_moments": held.opt_state.nu}
    critics = {"critic": state.learner.params["critic"]}
    return [(state.reward_gossip, models), (state.critic_gossip, critics)]


def scattered(algorithm, params, key):
    state = algorithm.init(jnp.zeros((N, GAME.value.num_states, 2)))
    return state if params is None else state._replace(critics=params)


CASES = {
    "ppo": Case(
        ppo,
        drawn(POLICY),
        lambda algorithm, params, key: algorithm.init(params, key),
        ppo_exchange,
        lambda state: state.learner.params["critic"],
        lambda state: state.learner.params["actor"],
        rl.PPOHyperparameters(lr=1e-2),
        rl.PPOHyperparameters(lr=0.0),
        layers(4, WIDTH, 1) + 2 * layers(4 + 2 * N, 3, 1),
    ),
    "sac": Case(
        sac,
        drawn(Q),
        lambda algorithm, params, key: algorithm.init(params, key),
        sac_exchange,
        lambda state: state.agents.learner.sac.params["critic"],
        lambda state: state.agents.learner.sac.params["actor"],
        rl.SACHyperparameters(3e-3, 3e-3, 3e-3),
        rl.SACHyperparameters(0.0, 0.0, 0.0),
        2 * [2 * size for size in layers(4, WIDTH, 1)] + 2 * layers(4, 3, 1),
    ),
    "linear": Case(
        lambda rule, team_reward: networked.networked_actor_critic(
            GAME.value, FEATURES.value, rule
        ),
        lambda key, apart: (
            jax.tree.map(lambda size: jax.random.normal(key, (N, size)), {"value": 2, "reward": 3})
            if apart
            else None
        ),
        scattered,
        lambda state: [(state.gossip, state.critics)],
        lambda state: state.critics,
        lambda state: state.actors,
        networked.Rates(),
        networked.Rates(critic=0.0, actor=0.0),
        [2, 3],
    ),
}
all_learners = pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.slow) for name in ("ppo", "sac")), "linear"]
)


@functools.cache
def program(name, **options):
    """Jitted start, step, and what is recorded after each round."""
    case = CASES[name]

    def learner(inputs):
        return case.make(inputs.gossip(), team_reward=inputs.team, **options)

    def step(key, state, inputs):
        return learner(inputs).step(key, state, inputs.hp)

    def look(state):
        return {
            "messages": [memory.sent for memory, _ in case.exchanges(state)],
            "held": [held for _, held in case.exchanges(state)],
            "critics": case.critics(state),
            "actors": case.actors(state),
            "traffic": state.ledger.total,
        }

    begin = jax.jit(lambda params, key, inputs: case.begin(learner(inputs), params, key))
    return begin, step, jax.jit(look)


def run(
    name,
    rule,
    rounds,
    W=RING,
    *,
    byzantine=NONE,
    team=True,
    frozen=False,
    apart=False,
    options=(),
    **saving,
):
    """Records before the first round and after each one."""
    case = CASES[name]
    begin, step, look = program(name, **dict(options))
    hp = case.frozen if frozen else case.learning
    inputs = Inputs(list(RULES).index(rule), built(W), byzantine, team, hp)
    inputs = jax.tree.map(jnp.asarray, inputs)
    key = jax.random.key(1)
    state = begin(case.params(key, apart), key, inputs)
    last, records = simulate(
        step, state, rounds, key=key, inputs=inputs, evaluate=look,
        progress=False, on_nonfinite="raise", **saving,
    )  # fmt: skip
    after = [jax.tree.map(lambda x, r=r: x[r], records.evaluation) for r in range(rounds)]
    return [look(state), *after], last


def arrays(tree):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]


def mixed(matrix, tree):
    return [np.tensordot(np.asarray(matrix, np.float64), leaf, 1) for leaf in arrays(tree)]


def close(found, expected):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=2e-6)


def agree(found, expected):
    return all(np.allclose(a, b, 1e-4, 2e-6) for a, b in zip(found, expected, strict=True))


def same(one, two):
    return all((a == b).all() for a, b in zip(arrays(one), arrays(two), strict=True))


@pytest.mark.parametrize(
    "name",
    ["linear", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ppo", "sac"))],
)
@pytest.mark.slow
def test_each_round_mixes_with_its_own_graph(name):
    for index, now in enumerate(run(name, "averaging", 4, MOVING.value, apart=True)[0][1:]):
        for message, held in zip(now["messages"], now["held"], strict=True):
            close(arrays(held), mixed(MOVING.value[index % 3].dense(), message))
            together = float(agents.disagreement(held)) < 1e-9
            assert together == (index == 1)


@pytest.mark.parametrize(
    "name",
    ["linear", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ppo", "sac"))],
)
def test_messages_and_bytes_are_counted(name):
    last = run(name, "averaging", 4, MOVING.value)[0][-1]
    sent = EDGES["ring"] + EDGES["complete"] + EDGES["star"] + EDGES["ring"]
    assert float(last["traffic"].messages) == len(last["messages"]) * sent
    assert float(last["traffic"].bytes) == 4 * sum(CASES[name].sizes) * sent
    found = sorted(leaf[0].size for leaf in jax.tree.leaves(last["messages"]))
    assert found == sorted(CASES[name].sizes)


@all_learners
@pytest.mark.slow
def test_compressed_messages_are_fewer_bytes_and_agree_all_the_same(name):
    sizes, rounds = CASES[name].sizes, 60
    seen, _ = run(name, "compressed", rounds, frozen=True, apart=True)
    kept = sum(int(np.ceil(FRACTION * size)) for size in sizes)
    sent = rounds * EDGES["ring"]
    assert float(seen[-1]["traffic"].bytes) == 8 * kept * sent < 4 * sum(sizes) * sent
    apart = [float(agents.disagreement(now["critics"])) for now in seen]
    assert apart[-1] < 0.02 * apart[0]
    assert apart[20] > apart[40] > apart[60]
    close(*([x.mean(axis=0) for x in arrays(now["critics"])] for now in (seen[-1], seen[0])))
    run(name, "compressed", 5)  # nothing infinite, whatever is learned


@pytest.mark.slow
@all_learners
def test_delayed_messages_are_those_of_the_round_before(name):
    """First only the own learning counts, then neighbours' of the round before."""
    W = np.asarray(RING.value[0].dense(), np.float64)
    own = np.diag(np.diag(W))
    seen, _ = run(name, "delayed", 3, apart=True)
    for before, now in itertools.pairwise(seen):
        for past, message, held in zip(
            before["messages"], now["messages"], now["held"], strict=True
        ):
            late = zip(mixed(own, message), mixed(W - own, past), strict=True)
            close(arrays(held), [a + b for a, b in late])
            assert not agree(arrays(held), mixed(W, message))


@all_learners
def test_a_robust_rule_keeps_honest_critics_where_they_were(name):
    honest, moved = ~BYZANTINE, {}
    for rule in ("averaging", "trimmed_mean"):
        calm, attacked = (
            run(name, rule, 3, FULL.value, byzantine=who)[0] for who in (NONE, BYZANTINE)
        )
        ends = (arrays(seen[-1]["critics"]) for seen in (calm, attacked))
        gaps = [np.square(a - b)[honest].sum() for a, b in zip(*ends, strict=True)]
        moved[rule] = np.sqrt(np.sum(gaps))
        within = []
        for now in attacked[1:]:
            for message, held in zip(arrays(now["messages"]), arrays(now["held"]), strict=True):
                low, high = (f(message[honest], axis=0) for f in (np.min, np.max))
                within.append(((held >= low - 1e-6) & (held <= high + 1e-6))[honest].all())
        assert all(within) == (rule == "trimmed_mean")
    assert moved["trimmed_mean"] < 0.2 * moved["averaging"]


@pytest.mark.slow
@all_learners
def test_actors_are_not_exchanged(name):
    """In a first round actors depend on neighbours only through the reward model."""
    alone, ring = (
        run(name, "averaging", 1, W, team=False)[0][1] for W in (EMPTY.value, RING.value)
    )
    assert same(alone["actors"], ring["actors"])
    assert not same(alone["critics"], ring["critics"])


@pytest.mark.slow
def test_training_resumes_bit_identically_with_the_state_of_the_rule(tmp_path):
    whole = run("ppo", "compressed", 5)
    run("ppo", "compressed", 3, checkpoint=tmp_path)
    again = run("ppo", "compressed", 5, checkpoint=tmp_path, resume=True)
    for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, two = jax.random.key_data(one), jax.random.key_data(two)
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_actors_are_exchanged_on_request(name):
    alone, ring = (
        run(name, "averaging", 1, W, team=False, options=(("average_actors", True),))[0][1]
        for W in (EMPTY.value, RING.value)
    )
    close(arrays(ring["actors"]), mixed(RING.value[0].dense(), alone["actors"]))
    assert not same(alone["actors"], ring["actors"])
    entries = sum(leaf[0].size for leaf in jax.tree.leaves(alone["actors"]))
    assert float(ring["traffic"].bytes) == 4 * (sum(CASES[name].sizes) + entries) * EDGES["ring"]


class Menu(SwarmEnvironment):
    """Two choices at once, of two and of three options; only one pair has a reward."""

    @cached_property
    def action_spec(self):
        counts = jnp.tile(jnp.array([2, 3], jnp.int32), (self.num_agents, 1))
        return specs.MultiDiscreteArray(num_values=counts, name="action")

    def start(self, key, params):
        return jnp.zeros(())

    def advance(self, key, world, action, params):
        reward = (action == jnp.array([[1, 2]])).all(axis=1).astype(jnp.float32)
        return Outcome(world, reward, jnp.zeros((), bool), {})

    def observe(self, world, params, step_count):
        return Observation(jnp.ones((self.num_agents, 1)), jnp.ones(self.num_agents, bool))


HEADS = {  # environment, inputs of the critic, numbers of an action, options of the network
    "choices": (Later(Menu, 3, 4), 1, 2 + 3, {}),
    "squashed": (Later(envs.SimpleSpread, 3, time_limit=4), None, 2, {}),
    "clipped": (Later(envs.Pendulum, 3, time_limit=4), 3, 1, {"squash": False}),
}


def tiny(kind, joint="all"):
    env, _, _, options = built(HEADS[kind])
    network = rl.network_for(env, widths=(4,), **options)
    algorithm = networked.networked_ppo(
        env, network, gossip.averaging(gossip.mixing(topology.ring(3))), joint=joint,
        num_envs=2, num_steps=6, epochs=1, minibatches=2, reward_widths=(3,), reward_steps=2,
    )  # fmt: skip
    return algorithm, lambda key: algorithm.init(rl.initialize(key, network, 3, shared=False), key)


@pytest.mark.parametrize("joint", ["all", "mean"])
@pytest.mark.parametrize("kind", list(HEADS))
def test_reward_models_get_every_number_of_an_action(kind, joint, key):
    _, begin = tiny(kind, joint)
    state = jax.eval_shape(begin, key)
    (entries,) = (
        x.shape[1] for x in jax.tree.leaves(state.reward_model.params) if x.shape[2:] == (3,)
    )
    (inputs,) = (
        x.shape[1] for x in jax.tree.leaves(state.learner.params["critic"]) if x.shape[2:] == (4,)
    )
    _, expected, numbers, _ = HEADS[kind]
    assert expected in (inputs, None)
    assert entries == inputs + (3 if joint == "all" else 1) * numbers


@pytest.mark.parametrize(
    ("head", "raw", "numbers"),
    [
        (Later(rl.categorical, 3), 2, [0, 0, 1]),
        (Later(rl.categoricals, (2, 3)), [1, 0], [0, 1, 1, 0, 0]),
        (Later(rl.squashed_gaussian, 2, [-1.0, 0.0], [1.0, 4.0]), [0.0, 50.0], [0, 4]),
        (Later(rl.gaussian, 2, [-1.0, 0.0], [1.0, 4.0]), [-0.5, 50.0], [-0.5, 4]),
    ],
)
def test_actions_as_numbers(head, raw, numbers):
    many = jnp.broadcast_to(jnp.asarray(raw), (2, 3, 4, *np.shape(raw)))
    found = encode_actions(rl.actor_critic_network(head.value, 1), many)
    np.testing.assert_allclose(found, np.broadcast_to(numbers, (2, 3, 4, len(numbers))), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(HEADS))
def test_any_kind_of_action_is_learned_jitted_as_eagerly(kind, key):
    algorithm, begin = tiny(kind)
    state = jax.jit(begin)(key)
    after, info = jax.jit(algorithm.step)(key, state)
    assert all(
        np.isfinite(x).all() for x in arrays((after.learner.params, after.reward_model, info))
    )
    assert not same(after.learner.params, state.learner.params)
    eager = algorithm.step(key, state, None)
    close(*(arrays((s.learner.params, s.reward_model, i)) for s, i in ((after, info), eager)))
