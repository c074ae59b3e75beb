"""Every public function of reinforcement learning refuses bad input by name."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, gossip, rl, topology
from jaxswarm.rl import networked
from tests.later import Later
from tests.rl.bad_input import (
    COUNT,
    FEW_SIZES,
    FLAG,
    FUNCTION,
    KEY,
    NAME,
    NAN,
    NUMBER,
    OBJECT,
    SHARE,
    SIZE,
    THING,
    WIDTHS,
    accepted,
    with_defaults,
)

ENV, GAME_ENV = envs.Pendulum(2), envs.Donations(3)
Q = Later(lambda: rl.q_network_for(ENV, widths=(4,)))
NET, GLOBAL = (rl.network_for(GAME_ENV, widths=(4,), critic=critic) for critic in ("own", "global"))
SUMS, TRACK = (rl.value_network_for(GAME_ENV, kind) for kind in ("additive", "monotonic"))
STEPS = Later(lambda: rl.network_for(ENV, widths=(4,)))
RING = Later(lambda: gossip.averaging(gossip.mixing(topology.ring(3))))
JOINT, THREE = Later(rl.JointAgent, GAME_ENV), Later(topology.ring, 3)
OFF: dict[str, Any] = {"batch_size": 4, "capacity": 64, "warm_up": 8}
KEY0 = jax.random.key(0)
GAME = Later(lambda: networked.random_game(2, 3, 2))
FEATURES = Later(lambda: networked.additive_features(GAME.value))
PAIR = Later(lambda: gossip.averaging(gossip.mixing(topology.ring(2))))
POLICY = np.full((2, 3, 2), 0.5)
ONE = np.ones(2, np.float32)
HEADS = {"num_actions": SIZE}
SAC, PPO, TD3 = rl.SACHyperparameters, rl.PPOHyperparameters, rl.TD3Hyperparameters
WRONG_SAC = (*THING, PPO(), SAC(discount=NAN), SAC(tau=0.0), SAC(actor_lr=jnp.float32(NAN)))
WRONG_PPO = (*THING, SAC(), PPO(lr=NAN), PPO(discount=1.5), PPO(clip=jnp.float32(NAN)))
LOOP = {name: FEW_SIZES for name in ("num_envs", "num_steps", "updates", "batch_size", "warm_up")}
LOOP |= {"capacity": (*FEW_SIZES, 1), "shared": FLAG, "replay": FUNCTION, "env": OBJECT}
LOOP |= {"network": (*OBJECT, NET, STEPS)}
ITERATION = {name: FEW_SIZES for name in ("num_envs", "num_steps", "epochs", "minibatches")}
ITERATION |= {"env": OBJECT, "network": (*OBJECT, Q), "normalize": FLAG, "optimizer": THING}
ITERATION |= {"minibatches": (*FEW_SIZES, 7)}
BOUNDS = {
    "size": SIZE,
    "low": (*NUMBER[:-1], ONE[:1]),
    "high": (*NUMBER[:-1], ONE[:1]),
    "initial_std": (*NUMBER, 0.0, -1.0),
}
RATES = networked.Rates


def hyper(wrong):
    """Objects for ``hyperparameters``, of which only the field may be named."""
    return [value for value in wrong if not isinstance(value, tuple)]


def collected(**changed):
    runner = rl.EnvRunner(GAME_ENV, 2)
    given = {
        "key": KEY0,
        "act": lambda *_: (jnp.zeros((2, 3), int), ()),
        "record": lambda *_: ((), ()),
        "state": (),
        "num_steps": 1,
    }
    return runner.collect(**(given | changed))


ACTOR_CRITIC = {"num_features": SIZE, "num_critic_inputs": SIZE[:-1], "widths": WIDTHS}
CASES = {
    "EnvRunner": (
        with_defaults(rl.EnvRunner, env=ENV, num_envs=1),
        {"env": OBJECT, "num_envs": SIZE, "keep_global_state": FLAG},
    ),
    "OnPolicyRunner": (
        with_defaults(rl.OnPolicyRunner, env=GAME_ENV, network=NET, num_envs=1, shared=True),
        {"env": OBJECT, "network": (*OBJECT, Q, STEPS), "num_envs": SIZE, "shared": FLAG},
    ),
    "OffPolicyRunner": (
        with_defaults(rl.OffPolicyRunner, env=ENV, network=Q, num_envs=1, shared=True),
        {"env": OBJECT, "network": (*OBJECT, NET), "num_envs": SIZE, "shared": FLAG},
    ),
    "collect": (collected, {"key": KEY, "act": FUNCTION, "record": FUNCTION, "state": OBJECT}),
    "actor_critic_network": (
        with_defaults(rl.actor_critic_network, head=rl.categorical(2), num_features=3),
        ACTOR_CRITIC
        | {"head": OBJECT, "hidden_size": COUNT, "activation": NAME, "critic": NAME}
        | {"num_critic_inputs": tuple(x for x in SIZE if x is not None)},
    ),
    "network_for": (
        with_defaults(rl.network_for, env=ENV, widths=(4,)),
        {
            "env": OBJECT,
            "critic": NAME,
            "squash": FLAG,
            "mask_actions": FLAG,
            "initial_std": (*NUMBER, 0.0),
        }
        | {"widths": WIDTHS, "hidden_size": COUNT, "activation": NAME},
    ),
    "q_network": (
        with_defaults(rl.q_network, head=Q.head, num_features=3, num_actions=1),
        {"head": OBJECT, "num_features": SIZE, "num_actions": SIZE, "widths": WIDTHS}
        | {"num_critics": SIZE, "critic_outputs": SIZE, "activation": NAME, "layer_norm": FLAG}
        | {"actor_dropout": (*SHARE, 1.0), "critic_dropout": (*SHARE, 1.0)},
    ),
    "q_network_for": (
        with_defaults(rl.q_network_for, env=ENV),
        {"env": (*OBJECT, GAME_ENV), "initial_std": (*NUMBER, 0.0), "std": NAME},
    ),
    "categorical": (rl.categorical, HEADS),
    "categoricals": (rl.categoricals, {"num_options": ((), (0,), (2.5,), 2, "2", None, NAN)}),
    "gaussian": (with_defaults(rl.gaussian, size=2), BOUNDS | {"state_dependent": FLAG}),
    "squashed_gaussian": (
        with_defaults(rl.squashed_gaussian, size=2),
        BOUNDS | {"state_dependent": FLAG, "std": NAME},
    ),
    "head_of": (with_defaults(rl.head_of, spec=ENV.action_spec), {"spec": OBJECT, "squash": FLAG}),
    "initialize": (
        with_defaults(rl.initialize, key=KEY0, network=Q, num_agents=2, shared=True),
        {"key": KEY, "network": OBJECT, "num_agents": SIZE, "shared": FLAG},
    ),
    "distribution_of": (rl.distribution_of, {"network": OBJECT}),
    "features_of": (rl.features_of, {"observation": OBJECT}),
    "feature_slices": (rl.feature_slices, {"observation": OBJECT}),
    "weights_of_agents": (
        with_defaults(rl.weights_of_agents, params={}, groups=(0,)),
        {"groups": (3, "x", (0.5,), (-1,))},
    ),
    "JointAgent": (rl.JointAgent, {"env": (*OBJECT, ENV)}),
    "message_passing_network": (
        with_defaults(rl.message_passing_network, joint=JOINT, topology=THREE, widths=(4,)),
        {"joint": (*OBJECT, GAME_ENV), "topology": (*OBJECT, Later(topology.ring, 4))}
        | {"rounds": COUNT, "widths": WIDTHS},
    ),
    "over_agents": (
        with_defaults(rl.over_agents, fn=jnp.sin, shared=True),
        {"fn": FUNCTION, "shared": FLAG},
    ),
    "policy": (
        with_defaults(rl.policy, network=Q, shared=True),
        {"network": OBJECT, "shared": FLAG, "deterministic": FLAG},
    ),
    "evaluate": (
        with_defaults(
            rl.evaluate, key=KEY0, env=ENV, policy=Later(rl.policy, Q, shared=True), num_episodes=1
        ),
        {"key": KEY, "env": OBJECT, "policy": OBJECT, "num_episodes": SIZE, "discount": SHARE},
    ),
    "evaluator": (
        with_defaults(rl.evaluator, key=KEY0, env=ENV, network=Q, shared=True),
        {"key": KEY, "env": OBJECT, "network": OBJECT, "num_episodes": SIZE, "shared": FLAG}
        | {"params": FUNCTION},
    ),
    "advantages": (
        with_defaults(
            rl.advantages,
            reward=ONE,
            discount=ONE,
            last=ONE > 0,
            value=ONE,
            next_value=ONE,
            gae_lambda=0.9,
        ),
        {"reward": ("x", np.ones(3) > 0), "discount": (np.ones(3), "x"), "value": (np.ones(3),)}
        | {"next_value": (np.ones((2, 1)),), "last": (ONE, np.ones(3, bool))}
        | {"gae_lambda": SHARE},
    ),
    "uniform_replay": (
        with_defaults(rl.uniform_replay, capacity=8, batch_size=2),
        {"capacity": (*SIZE, 1), "batch_size": SIZE},
    ),
    "fading_replay": (
        with_defaults(rl.fading_replay, capacity=8, batch_size=2),
        {"capacity": (*SIZE, 1), "batch_size": SIZE, "fade": FLAG}
        | {"min_reward_scale": (*NUMBER, 0.0)},
    ),
    "ppo": (
        with_defaults(rl.ppo, env=GAME_ENV, network=NET, num_envs=2),
        ITERATION
        | {"shared": FLAG, "hyperparameters": (*hyper(WRONG_PPO), SAC())}
        | {"groups": (3, "x", (0, 0), (0, 2, 2), (0, 1, 3), (0.5, 0, 0)), "schedule": (3, "x")}
        | {"max_grad_norm": (NAN, 0.0, "x", None), "normalize_values": FLAG},
    ),
    "ippo": (
        with_defaults(rl.ippo, env=GAME_ENV, network=NET, num_envs=2),
        ITERATION | {"network": (*OBJECT, Q, GLOBAL), "shared": FLAG},
    ),
    "mappo": (
        with_defaults(rl.mappo, env=GAME_ENV, network=GLOBAL, num_envs=2),
        ITERATION | {"network": (*OBJECT, Q, NET), "shared": FLAG},
    ),
    "sac": (
        with_defaults(rl.sac, env=ENV, network=Q, **OFF),
        LOOP | {"optimizer": THING, "hyperparameters": (*hyper(WRONG_SAC), PPO())},
    ),
    "td3": (
        with_defaults(rl.td3, env=ENV, network=Q, **OFF),
        {"env": (*OBJECT, GAME_ENV), "network": (*OBJECT, NET), "delay": FEW_SIZES}
        | {"exploration": (*NUMBER, -1.0)}
        | {"optimizer": THING, "hyperparameters": (*hyper(WRONG_SAC), PPO())},
    ),
    "td3_learner": (
        with_defaults(rl.td3_learner, env=ENV, network=Q),
        {"env": (*OBJECT, GAME_ENV), "network": (*OBJECT, NET), "delay": FEW_SIZES}
        | {"exploration": (*NUMBER, -1.0)},
    ),
    "sac_learner": (
        with_defaults(rl.sac_learner, env=ENV, network=Q),
        {"env": (*OBJECT, GAME_ENV), "network": (*OBJECT, NET), "optimizer": THING},
    ),
    "value_network_for": (
        with_defaults(rl.value_network_for, env=GAME_ENV),
        {"env": (*OBJECT, ENV), "mixer": NAME, "objectives": (0, 1, 2, 2.5, "2")}
        | {"hidden_size": FEW_SIZES, "mixer_width": FEW_SIZES},
    ),
    "vdn": (with_defaults(rl.vdn, env=GAME_ENV, network=SUMS), {"network": (*OBJECT, TRACK, NET)}),
    "independent_q": (
        with_defaults(rl.independent_q, env=GAME_ENV, network=SUMS),
        {"network": (*OBJECT, SUMS, TRACK)},
    ),
    "qmix": (with_defaults(rl.qmix, env=GAME_ENV, network=TRACK), {"network": (*OBJECT, SUMS)}),
    "mo_mix": (
        with_defaults(rl.mo_mix, env=GAME_ENV, network=TRACK),
        {"network": (*OBJECT, SUMS, TRACK)},
    ),
    "off_policy": (
        with_defaults(
            rl.off_policy, env=ENV, network=Q, learner=Later(rl.sac_learner, ENV, Q), **OFF
        ),
        LOOP | {"learner": OBJECT},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def names_of(module):
    """Public functions; NamedTuples and modules hold what comes."""
    things = {name: getattr(module, name) for name in module.__all__}
    return {
        name
        for name, thing in things.items()
        if not isinstance(thing, types.ModuleType) and not hasattr(thing, "_fields")
    }


def test_every_public_function_is_in_the_battery():
    assert names_of(rl) <= set(CASES)
    assert names_of(networked) <= set(NETWORKED)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **hp: rl.ppo(GAME_ENV, NET, num_envs=2, hyperparameters=PPO(**hp)), PPO._fields),
        (lambda **hp: rl.sac(ENV, Q.value, **OFF, hyperparameters=SAC(**hp)), SAC._fields),
        (lambda **hp: rl.td3(ENV, Q.value, **OFF, hyperparameters=TD3(**hp)), TD3._fields),
        (
            lambda **hp: networked.networked_actor_critic(
                GAME.value, FEATURES.value, PAIR.value, rates=RATES(**hp)
            ),
            RATES._fields,
        ),
    ],
    ids=["ppo", "sac", "td3", "linear"],
)
def test_every_hyperparameter_is_checked(make, names):
    optional = {"target_entropy": (NAN, jnp.float32(NAN), "x", True)}
    infinite = {"clip": (NAN, -1.0, "x"), "value_clip": (NAN, jnp.float32(NAN), -1.0, "x")}
    infinite |= {"huber": (NAN, -1.0, "x")}
    bad = {name: (*NUMBER, -1.0, jnp.float32(-1.0)) for name in names} | infinite | optional
    assert accepted(make, {name: bad[name] for name in names}) == []


def test_hyperparameters_of_each_learner_have_a_length():
    for count, fits in ((3, True), (2, False)):
        hp = PPO(lr=jnp.full(count, 0.1))
        call = lambda hp=hp: rl.ippo(GAME_ENV, NET, num_envs=2, hyperparameters=hp)  # noqa: E731
        if fits:
            call()
        else:
            with pytest.raises(ValueError, match="lr: expected"):
                call()
    with pytest.raises(ValueError, match="lr: expected a single value"):
        rl.ppo(GAME_ENV, NET, num_envs=2, hyperparameters=PPO(lr=jnp.full(3, 0.1)))


@pytest.mark.slow
def test_what_init_and_step_get_is_checked():
    ppo, sac = rl.ppo(GAME_ENV, NET, num_envs=2, num_steps=2), rl.sac(ENV, Q.value, **OFF)
    for algorithm, network, n, wrong in ((ppo, NET, 3, SAC()), (sac, Q.value, 2, PPO())):
        params = rl.initialize(KEY0, network, n, shared=True)
        each = rl.initialize(KEY0, network, n, shared=False)
        init = with_defaults(algorithm.init, params=params, key=KEY0)
        bad = {"params": (None, {}, each, params["actor"], 3), "key": KEY}
        assert accepted(init, bad) == []
        state = algorithm.init(params, KEY0)
        step = with_defaults(algorithm.step, key=KEY0, state=state)
        assert accepted(step, {"key": KEY, "state": OBJECT, "inputs": (*THING, wrong)}) == []
        with pytest.raises(ValueError, match="discount"):
            step(inputs=type(PPO() if wrong == SAC() else SAC())(discount=jnp.float32(NAN)))


def test_networks_of_another_algorithm_are_refused():
    from jaxswarm.systems import stac, symphony

    theirs = {
        "stac": stac.stac_network_for(ENV, widths=(4,)),
        "symphony": symphony.symphony_network_for(ENV, width=4, nodes=3),
        "sac": Q.value,
        "samples": stac.mean_action_network(Q.value, 2),
        "another env": rl.q_network_for(envs.SimpleSpread(3), widths=(4,)),
    }
    learners = {
        "sac": lambda network: rl.sac(ENV, network, **OFF),
        "stac": lambda network: stac.stac(ENV, network, **OFF),
        "symphony": lambda network: symphony.symphony(ENV, network, **(OFF | {"warm_up": 4})),
    }
    for learner, make in learners.items():
        for name, network in theirs.items():
            if name == learner:
                make(network)
                continue
            with pytest.raises(ValueError, match="network: expected"):
                make(network)


def test_a_replay_smaller_than_a_step_is_refused():
    sizes = {"num_envs": 4, "num_steps": 8, "batch_size": 4, "capacity": 16, "warm_up": 4}
    for shared, least in ((True, 64), (False, 32)):
        with pytest.raises(ValueError, match=f"capacity: expected at least the {least} items"):
            rl.sac(ENV, Q.value, shared=shared, **sizes)
    with pytest.raises(ValueError, match="capacity: expected at least the 32 items"):
        networked.networked_sac(ENV, Q.value, PAIR.value, **sizes)


GOSSIP = {"gossip": OBJECT}
NETWORKED = {
    "random_game": (
        networked.random_game,
        {"num_agents": (*SIZE, 13), "num_states": SIZE, "num_actions": SIZE, "seed": COUNT},
    ),
    "dilemma": (networked.dilemma, {"num_agents": (*SIZE, 1), "benefit": NUMBER, "cost": NUMBER}),
    "solve": (
        with_defaults(networked.solve, game=GAME, policy=POLICY),
        {"game": OBJECT, "policy": (None, "x", 1.0, POLICY[:1], POLICY * NAN, POLICY * 2)},
    ),
    "random_features": (
        with_defaults(networked.random_features, game=GAME, num_value=2, num_reward=2),
        {"game": OBJECT, "num_value": (*SIZE, 3), "num_reward": SIZE, "seed": COUNT},
    ),
    "additive_features": (networked.additive_features, {"game": OBJECT}),
    "critic_fixed_point": (
        with_defaults(networked.critic_fixed_point, game=GAME, features=FEATURES, policy=POLICY),
        {"game": OBJECT, "features": OBJECT, "policy": (None, POLICY[0], POLICY * NAN)},
    ),
    "product_policies": (networked.product_policies, {"game": OBJECT}),
    "networked_actor_critic": (
        with_defaults(networked.networked_actor_critic, game=GAME, features=FEATURES, gossip=PAIR),
        {
            "game": OBJECT,
            "features": (*OBJECT, Later(FEATURES._replace, value=np.full((3, 2), NAN))),
        }
        | {"gossip": OBJECT, "rates": THING, "policies": THING, "critic": NAME},
    ),
    "networked_ppo": (
        with_defaults(networked.networked_ppo, env=GAME_ENV, network=NET, gossip=RING, num_envs=2),
        {name: bad for name, bad in ITERATION.items()}
        | {"gossip": OBJECT, "team_reward": FLAG, "average_actors": FLAG, "joint": NAME}
        | {"reward_widths": WIDTHS, "reward_steps": SIZE, "reward_lr": (*NUMBER, 0.0)}
        | {"hyperparameters": hyper(WRONG_PPO)},
    ),
    "networked_sac": (
        with_defaults(networked.networked_sac, env=ENV, network=Q, gossip=PAIR, **OFF),
        {name: bad for name, bad in LOOP.items() if name != "shared"}
        | {"gossip": OBJECT, "team_reward": FLAG, "average_actors": FLAG}
        | {"average_temperatures": FLAG, "reward_widths": WIDTHS, "reward_lr": (*NUMBER, 0.0)}
        | {"optimizer": THING, "hyperparameters": hyper(WRONG_SAC)},
    ),
    "initial_params": (
        with_defaults(networked.initial_params, key=KEY0, network=Q, num_agents=2),
        {"key": KEY, "network": OBJECT, "num_agents": SIZE},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKED)
def test_bad_input_of_networked_learners_is_refused_by_name(name):
    call, bad = NETWORKED[name]
    assert accepted(call, bad) == []


def test_tables_and_rates_that_are_none_are_refused():
    learner = networked.networked_actor_critic(GAME.value, FEATURES.value, PAIR.value)
    actors = jnp.zeros((2, 3, 2))
    bad = {"actors": (None, "x", jnp.zeros((2, 3)), actors.at[0, 0, 0].set(NAN))}
    assert accepted(learner.init, bad) == []
    state = learner.init(actors)
    step = with_defaults(learner.step, key=KEY0, state=state)
    assert accepted(step, {"key": KEY, "state": OBJECT, "inputs": THING}) == []
    with pytest.raises(ValueError, match="critic: expected"):
        step(inputs=RATES(critic=NAN))
