"""NORA, its ablations and its baselines on combination locks, and learning with offline data.

Shapes: ``S`` seeds, ``T`` episodes, ``D`` sizes of offline data.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.nora.config import Config, lock_arms
from experiments.nora.play import play, recorded
from experiments.nora.worlds import locks
from jaxswarm.rl import tabular
from jaxswarm.systems import nora

COVERED = 0.5  # share of steps in which the data's policy takes the optimal action


def lock_regrets(config: Config, keys: jax.Array) -> Results:
    """Regrets of all arms on the lock, by arm; see :func:`experiments.nora.play.play`."""
    worlds = locks(config, config.seeds)
    found = play(lock_arms(config), worlds, keys, config.episodes)
    pairs = 2 * config.actions  # features of a table
    loss = nora.settings_of("nora", bonus=config.bonus, rate=config.rate)
    loss = loss._replace(tolerance=2.0 * pairs * config.bonus**2)
    found |= play({"loss rule": loss}, worlds, keys, config.episodes, rule="loss")
    return found | {"oracle": oracle_regrets(config, worlds)}


def oracle_regrets(config: Config, worlds: Any) -> dict[str, np.ndarray]:
    """Regrets of mirror ascent on the exact optimal values, ``total [S, R]``.

    The policy of episode ``t`` is ``softmax(η t Q*)`` whatever is sampled.
    """

    def run(world: tabular.EpisodicMDP) -> jax.Array:
        best = tabular.value_iteration(world)
        policy = lambda t: jax.nn.softmax(config.rate * t * best.q)  # noqa: E731
        earned = lambda t: tabular.expected_return(world, policy(t))  # noqa: E731
        episodes = jnp.arange(config.episodes, dtype=jnp.float32)
        return world.start @ best.value[0] - jax.vmap(earned)(episodes)

    regret = np.asarray(jit_fast_compile(jax.vmap(run))(worlds), np.float64)
    return {"total": np.cumsum(regret, axis=1)[:, recorded(config.episodes) - 1]}


def offline_regrets(config: Config, keys: jax.Array) -> Results:
    """Regrets after offline data of several sizes, which are nested.

    Returns:
        ``arms``: by arm and size, ``"NORA 30"``; see :func:`experiments.nora.play.play`.
        ``concentrability``: ``[S]``, of the data's policy.
    """
    worlds = locks(config, config.seeds)
    most = max(config.offline)

    def data(world: tabular.EpisodicMDP, key: jax.Array) -> tuple[tabular.Sums, jax.Array]:
        """Sums over the first episodes of a data set, for each size; ``[D, ...]``."""
        best = tabular.value_iteration(world).policy
        policy = COVERED * best + (1.0 - COVERED) * tabular.uniform_policy(world)
        rows = tabular.sample_transitions(key, world, policy, most)
        rows = jax.tree.map(lambda x: x.reshape(most, -1), rows)
        each = jax.vmap(lambda episode: tabular.sums_of(world, episode))(rows)
        upto = jax.tree.map(lambda x: jnp.cumsum(x, axis=0), each)
        sizes = np.array(config.offline)

        def first(x: jax.Array) -> jax.Array:
            empty = (sizes == 0).reshape(-1, *[1] * (x.ndim - 1))
            return jnp.where(empty, 0.0, x[np.maximum(sizes - 1, 0)])

        return jax.tree.map(first, upto), tabular.concentrability(world, policy)

    offline_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    sums, concentrability = jit_fast_compile(jax.vmap(data, out_axes=(1, 0)))(worlds, offline_keys)
    kinds = {
        "NORA": nora.settings_of("nora", bonus=config.bonus, rate=config.rate),
        "no optimism": nora.settings_of("no optimism", rate=config.rate),
        "offline only": nora.settings_of("no optimism", rate=config.rate, growth=np.inf),
    }
    arms = {f"{kind} {n}": own for kind, own in kinds.items() for n in config.offline}
    tiled = jax.tree.map(lambda x: jnp.concatenate([x] * len(kinds)), sums)
    found = play(arms, worlds, keys, config.hybrid_episodes, sums=tiled)
    return {"arms": found, "concentrability": np.asarray(concentrability)}
