"""Blueprints, and perceive-and-decide policies trained by PPO in rehearsals.

Shapes: ``S`` seeds, ``C`` conditions of training.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.hamlet.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import rl
from jaxswarm.envs import theatre
from jaxswarm.systems import hamlet
from jaxswarm.types import Key, Params

FULL, NO_ADVANCER, NEVER_SILENT = "full", "no advancer, retrained", "never silent"
DESIGNS = {
    "backward, reviewer": ("backward", True),
    "backward, no reviewer": ("backward", False),
    "forward, reviewer": ("forward", True),
    "forward, no reviewer": ("forward", False),
}


class Company(NamedTuple):
    """What all arms share.

    Attributes:
        production: stage and depths.
        plays: design -> blueprints, leaves ``[S, B, …]``.
        reachable: design -> ``bool[S, B, Q]``.
        drafts: design -> ``int[S, B]``.
        network: of perceive-and-decide.
        params: condition -> weights, leaves ``[S, …]``.
        rewards: condition -> ``float[S, iterations]``.
    """

    production: hamlet.Production
    plays: dict[str, theatre.Blueprint]
    reachable: dict[str, np.ndarray]
    drafts: dict[str, np.ndarray]
    network: rl.Network
    params: dict[str, Params]
    rewards: dict[str, np.ndarray]


def conditions(config: Config) -> dict[str, hamlet.Settings]:
    """Settings under which policies are trained."""
    base: dict[str, Any] = {
        "threshold": config.threshold,
        "period": config.period,
        "progress_reward": config.progress_reward,
        "waste_penalty": config.waste_penalty,
    }
    n = config.actors
    return {
        FULL: hamlet.settings(n, **base),
        NO_ADVANCER: hamlet.settings(n, advancer=False, **base),
        NEVER_SILENT: hamlet.settings(n, modes=["fast", "slow"], **base),
    }


def make_production(config: Config) -> hamlet.Production:
    """The stage, the same for all seeds."""
    stage = theatre.default_stage(config.actors, config.places, config.props, config.secrets)
    return hamlet.production(stage, slow_depth=config.slow_depth, plan_depth=config.plan_depth)


def write_plays(config: Config, stage: theatre.Stage) -> dict[str, list[hamlet.Plays]]:
    """Blueprints of all designs and seeds; a design without reviewer has the first drafts."""
    return {
        name: [
            hamlet.stage_plays(
                config.seed + seed, stage, config.blueprints, designer=designer, reviewer=reviewer,
                points=config.points, facts=config.facts, unfamiliar=config.unfamiliar,
            )
            for seed in range(config.seeds)
        ]
        for name, (designer, reviewer) in DESIGNS.items()
    }  # fmt: skip


def assemble(config: Config) -> Company:
    """Write blueprints and train all policies; conditions and seeds are ``vmap`` axes."""
    production = make_production(config)
    written = write_plays(config, production.stage)
    plays = {
        name: jax.tree.map(lambda *x: jnp.stack(x), *(each.blueprints for each in group))
        for name, group in written.items()
    }
    env = hamlet.Rehearsal(
        production, written["backward, reviewer"][0].blueprints, time_limit=config.moments
    )
    network = rl.network_for(env, widths=(config.width,))
    learner = rl.ppo(
        env, network, num_envs=config.envs, num_steps=config.steps,
        hyperparameters=rl.PPOHyperparameters(
            lr=config.lr, discount=config.discount, entropy=config.entropy
        ),
    )  # fmt: skip

    def train(key: Key, plays: theatre.Blueprint, given: hamlet.Settings) -> tuple[Params, Any]:
        weights_key, start_key, step_key = jax.random.split(key, 3)
        weights = rl.initialize(weights_key, network, config.actors, shared=True)
        physics = hamlet.rehearsal_params(production, plays, given)

        def step(state: Any, index: jax.Array) -> tuple[Any, jax.Array]:
            state, info = learner.step(jax.random.fold_in(step_key, index), state, None)
            return state, info.reward

        first = learner.init(weights, start_key, physics)  # type: ignore[call-arg]
        state, rewards = jax.lax.scan(step, first, jnp.arange(config.iterations))
        return state.params, rewards

    given = conditions(config)
    settings = jax.tree.map(lambda *x: jnp.stack(x), *given.values())
    over_seeds = jax.vmap(train, (0, 0, None))
    program = jit_fast_compile(jax.vmap(over_seeds, (None, None, 0)), level=1, plain=True)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    weights, rewards = jax.block_until_ready(program(keys, plays["backward, reviewer"], settings))
    return Company(
        production,
        plays,
        {name: np.stack([each.reachable for each in group]) for name, group in written.items()},
        {name: np.stack([each.drafts for each in group]) for name, group in written.items()},
        network,
        {name: jax.tree.map(lambda x, c=c: x[c], weights) for c, name in enumerate(given)},
        {name: np.asarray(rewards[c]) for c, name in enumerate(given)},
    )
