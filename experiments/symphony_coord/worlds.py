"""Pools of workers: the five published agents with their shocks, and random specialists.

Shapes: ``M`` workers, ``K`` task types, ``S`` seeds.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.symphony_coord.config import Config
from jaxswarm import coordination
from jaxswarm.systems import symphony_coord

# The published simulator's agents A to E: price, latency in ms, success probability on easy and
# hard tasks, advertised match on easy and hard tasks.
PROFILES = np.array(
    [
        [1.00, 900, 0.99, 0.99, 0.80, 0.95],
        [0.10, 350, 0.88, 0.18, 0.95, 0.20],
        [0.35, 550, 0.92, 0.65, 0.75, 0.75],
        [0.22, 420, 0.90, 0.45, 0.85, 0.55],
        [0.60, 780, 0.95, 0.85, 0.60, 0.90],
    ]
)
A_FAILS_OTHERS_DEGRADE = "A fails, C to E degrade"
A_DEGRADES = "A, C and E degrade"
ONLY_A_FAILS = "only A fails"
SHOCKS = (A_FAILS_OTHERS_DEGRADE, A_DEGRADES, ONLY_A_FAILS)
FAILING_SHARE = 0.3  # share of the swarm's workers that fail silently half-way
MATCH_NOISE = 0.1  # standard deviation of a specialist's advertised match, screening part
SWARM_NOISE = 0.3  # the same in the swarm: with 0.1 the best match alone is nearly an oracle
SLOWDOWN = (2.5, 0.5, 1.0, 0.7, 1.8)  # published factors of the agents' latency, Experiment 3
EASY_SHARE = 0.8  # share of easy tasks in Experiment 3


def after_shock() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Success probabilities and matches after each shock of :data:`SHOCKS`, ``[5, 2]`` each."""
    skill, match = PROFILES[:, 2:4], PROFILES[:, 4:]
    kept_on_hard = np.array([1.0, 1.0, 0.5, 0.6, 0.3])  # C, D, E lose 50, 40, 70 %
    unavailable = skill * np.stack([np.ones(5), kept_on_hard], axis=1)
    unavailable[0] = 0.0
    degraded = skill.copy()
    degraded[0] *= (0.6, 0.2)
    degraded[4, 1] *= 0.4
    degraded[2, 1] *= 0.4
    degraded_match = match.copy()
    degraded_match[0] *= 0.7
    silent = skill.copy()
    silent[0] = 0.0
    return {
        A_FAILS_OTHERS_DEGRADE: (unavailable, match),
        A_DEGRADES: (degraded, degraded_match),
        ONLY_A_FAILS: (silent, match),
    }


def published_worlds(config: Config) -> symphony_coord.World:
    """The published agents under each shock of :data:`SHOCKS`, stacked along the leading axis."""
    pool = coordination.workers(PROFILES[:, 2:4], latency=PROFILES[:, 1], price=PROFILES[:, 0])
    worlds = [
        symphony_coord.world(
            pool,
            PROFILES[:, 4:],
            types=[1 - config.hard, config.hard],
            static=[1, 0],
            shock=config.tasks // 2,
            skill_after=skill,
            match_after=match,
        )
        for skill, match in after_shock().values()
    ]
    return stacked(worlds)


def cost_worlds(config: Config) -> symphony_coord.World:
    """The published agents without a shock; the rules are always A, and B for easy, A for hard."""
    pool = coordination.workers(PROFILES[:, 2:4], latency=PROFILES[:, 1], price=PROFILES[:, 0])
    shares = [1 - config.hard, config.hard]
    return stacked(
        [
            symphony_coord.world(pool, PROFILES[:, 4:], types=shares, static=rule)
            for rule in ([0, 0], [1, 0])
        ]
    )


def latency_world(config: Config) -> symphony_coord.World:
    """The published agents, whose latencies change half-way; mostly easy tasks."""
    pool = coordination.workers(PROFILES[:, 2:4], latency=PROFILES[:, 1], price=PROFILES[:, 0])
    return symphony_coord.world(
        pool,
        PROFILES[:, 4:],
        types=[EASY_SHARE, 1 - EASY_SHARE],
        static=[1, 0],
        shock=config.tasks // 2,
        slowdown_after=np.array(SLOWDOWN),
    )


def specialist_worlds(
    keys: jax.Array,
    config: Config,
    number: int,
    *,
    shock: int = 2**30,
    noise: float = MATCH_NOISE,
) -> symphony_coord.World:
    """:func:`specialists` for each key ``[S]``, stacked along the leading axis."""
    worlds = [
        specialists(jax.random.fold_in(key, 0), config, number, shock=shock, noise=noise)
        for key in keys
    ]
    return stacked(worlds)


def specialists(
    key: jax.Array, config: Config, number: int, *, shock: int = 2**30, noise: float = MATCH_NOISE
) -> symphony_coord.World:
    """Random workers with one speciality each, which advertise their skills with noise.

    Args:
        key: of the workers.
        config: number of task types.
        number: ``M``.
        noise: standard deviation of the advertised match around the skill.
        shock: task from which on a share :data:`FAILING_SHARE` of the workers fails silently.
    """
    kinds = config.pool_types
    keys = jax.random.split(key, 6)
    speciality = jax.random.randint(keys[0], (number,), 0, kinds)
    peak = jax.random.uniform(keys[1], (number, 1), minval=0.6, maxval=0.95)
    base = jax.random.uniform(keys[2], (number, kinds), minval=0.1, maxval=0.4)
    skill = jnp.where(jax.nn.one_hot(speciality, kinds) > 0, peak, base)
    error = noise * jax.random.normal(keys[3], skill.shape)
    match = jnp.clip(skill + error, 0.0, 1.0)
    latency = jax.random.uniform(keys[4], (number,), minval=300.0, maxval=900.0)
    fails = jax.random.permutation(keys[5], number) < round(FAILING_SHARE * number)
    skill_after = jnp.where(fails[:, None], 0.0, skill)
    return symphony_coord.world(
        coordination.workers(np.asarray(skill), latency=np.asarray(latency)),
        np.asarray(match),
        types=np.full(kinds, 1 / kinds),
        shock=shock,
        skill_after=np.asarray(skill_after),
    )


def stacked(worlds: list[symphony_coord.World]) -> symphony_coord.World:
    """Worlds of equal sizes as one, with a new leading axis on every leaf."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *worlds)
