"""Play all scripted teams on the same worlds, and train PPO there.

Shapes: ``W`` worlds, ``L`` seeds of the learners, ``A`` achievements.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.damcs.config import ARMS, SIX, Arm, Config
from experiments.damcs.learners import learn
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import agents, envs
from jaxswarm.systems import damcs

AGENTS = 6


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure how long teams take to get a diamond.

    Returns:
        ``arms``: ``{arm: Episodes as a dict}`` with ``steps``, ``diamond``, ``bytes``,
        ``decisions``, ``num_alive`` ``[W]`` and ``achieved [W, A]``; ``learned``: ``{name:
        {"diamond": [L], "achieved": [L], "reward": …}}`` if learners are trained;
        ``solvable [candidates]``; ``film``: the episode of six agents in the first world, as a
        ``damcs.Film``.
    """
    env = envs.MultiAgentCrafter(AGENTS, config.size, config.time_limit)
    team = damcs.team(env)
    progress("drawing worlds")
    keys, solvable = solvable_worlds(config, env)
    play = damcs.episodes_of(
        team,
        num_worlds=config.side_by_side,
        jit=partial(jit_fast_compile, level=config.level, plain=True),
    )
    names = list(ARMS)
    options = [options_of(ARMS[name], team) for name in names for _ in range(config.worlds)]
    options = jax.tree.map(lambda *values: np.stack(values), *options)
    progress(f"playing {len(names)} × {config.worlds} episodes")
    episodes, film = play(
        jnp.tile(keys, len(names)),
        options,
        np.repeat([ARMS[name].agents for name in names], config.worlds),
        watch=names.index(SIX) * config.worlds,
    )
    found = {
        name: {
            field: np.split(values, len(names))[i] for field, values in episodes._asdict().items()
        }
        for i, name in enumerate(names)
    }
    results: Results = {"arms": found, "solvable": solvable, "film": film._asdict()}
    if config.iterations:
        results["learned"] = learn(config, progress)
    return jax.tree.map(np.asarray, results)


def options_of(arm: Arm, team: damcs.Team) -> damcs.TeamOptions:
    """Options of a team that plays an arm."""
    return team.options._replace(
        memory=arm.memory,
        graph=arm.graph,
        messages=arm.messages,
        known_map=arm.known_map,
        size=arm.agents,
    )


def solvable_worlds(config: Config, env: envs.MultiAgentCrafter) -> tuple[Any, np.ndarray]:
    """Keys of the first solvable worlds, ``[W]``, and which candidates are, ``bool[candidates]``.

    Raises:
        ValueError: if too few candidates are solvable.
    """
    keys = agents.keys(jax.random.key(config.seed), config.candidates)

    def check(key: jax.Array) -> jax.Array:
        return env.reset(key)[0].world.solvable

    solvable = np.asarray(
        jit_fast_compile(lambda k: jax.lax.map(check, k), level=config.level)(keys)
    )
    chosen = np.flatnonzero(solvable)[: config.worlds]
    if len(chosen) < config.worlds:
        raise ValueError(
            f"candidates: expected {config.worlds} solvable worlds among them, got {len(chosen)}"
        )
    return keys[jnp.asarray(chosen)], solvable
