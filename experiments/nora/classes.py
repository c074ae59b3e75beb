"""NORA with the exact version space of a finite class of value tables.

The class holds the optimal values of locks with every code, at two slips, so that it contains those
of the lock that is played. It is not closed under Bellman backups.

Shapes: ``F`` members, ``S`` seeds, ``T`` episodes.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.nora.config import Config
from experiments.nora.play import summary
from experiments.nora.worlds import locks
from jaxswarm import rollout
from jaxswarm.rl import tabular
from jaxswarm.systems import nora

FAILURE = 0.1  # probability δ with which the radius may lose the optimal values
OTHER_SLIP = 0.5  # of half of the members, beside that of the lock that is played
TIGHT = 1e-3  # share of the radius with which the optimal values should be lost
RADII = {"version space": 1.0, "radius × 0.001": TIGHT}
"""Arms, and the factor of their radius."""


def members(config: Config) -> np.ndarray:
    """Optimal values of locks with every code at two slips, ``[F, H, S, A]``."""
    H, A = config.class_horizon, config.actions
    tables = []
    slips = (config.class_slip, OTHER_SLIP)
    for slip, code in itertools.product(slips, itertools.product(range(A), repeat=H)):
        lock = tabular.combination_lock(
            H,
            A,
            slip=slip,
            distractor=config.distractor,
            code=np.array(code),
        )
        tables.append(optimal_values(lock))
    return np.stack(tables)


def optimal_values(mdp: tabular.EpisodicMDP) -> np.ndarray:
    """Optimal values ``[H, S, A]`` on the host, where hundreds of processes take no time."""
    transitions, rewards = np.asarray(mdp.transition), np.asarray(mdp.reward)
    value, q = np.zeros(mdp.num_states, np.float32), []
    for transition, reward in zip(transitions[::-1], rewards[::-1], strict=True):
        q.append(reward + transition @ value)
        value = q[-1].max(axis=1)
    return np.stack(q[::-1])


def class_radius(config: Config, size: int) -> float:
    """Radius for values of at most 1, so that squared errors need no scale."""
    return tabular.confidence_radius(
        size, config.class_horizon, config.class_episodes, delta=FAILURE
    )


def class_regrets(config: Config, keys: jax.Array) -> Results:
    """Regrets of NORA with the version space, and whether the optimal values stay in it.

    Returns:
        By arm of ``RADII``: what :func:`experiments.nora.play.summary` keeps; ``excess [S, T]``,
        largest excess loss of the optimal values over the steps, as a share of the radius.
        ``size`` and ``radius`` of the class.
    """
    tables = members(config)
    radius = class_radius(config, len(tables))
    worlds = locks(config, config.seeds, config.class_horizon, config.class_slip)

    def run(
        world: tabular.EpisodicMDP, key: jax.Array, share: jax.Array
    ) -> tuple[nora.NoraInfo, jax.Array]:
        best = tabular.value_iteration(world).q
        critic = tabular.finite_class_critic(world, tables, share * radius)
        settings = nora.settings_of("nora", rate=config.rate, tolerance=share * radius)
        learner = nora.actor_critic(world, settings, critic=critic, rule="loss")

        def excess(state: nora.NoraState) -> jax.Array:
            return jnp.max(critic.gap(best, state.data)) / (share * radius)

        _, records = rollout(
            learner.step, learner.init(), config.class_episodes, key=key, evaluate=excess
        )
        return records.info, records.evaluation

    # Seeds one after the other, so that the class is searched at switches only.
    program = jit_fast_compile(
        lambda share: jax.lax.map(lambda seed: run(seed[0], seed[1], share), (worlds, keys))
    )
    found: Results = {"size": np.array(len(tables)), "radius": np.array(radius)}
    for name, share in RADII.items():
        info, excess = program(jnp.float32(share))
        found[name] = summary(info) | {"excess": np.asarray(excess)}
    return found
