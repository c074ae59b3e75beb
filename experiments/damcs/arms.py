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
        {"diamond": [L], "achieved": [L], "reward": …}}``; ``solvable [candidates]``; ``film``: the
        episode of six agents in the first world, as a ``damcs.Film``.
    """
    env = envs.MultiAgentCrafter(AGENTS, config.size, config.time_limit)
    team = damcs.team(env)
    progress("drawing worlds")
    keys, solvable = solvable_worlds(config, env)
    play = damcs.episodes_of(team, jit=partial(jit_fast_compile, level=1, plain=True))
    found: dict[str, Any] = {}
    film: Any = None
    for name, arm in ARMS.items():
        progress(name)
        options = options_of(arm, team)
        if name == SIX:
            episodes, film = play(keys, options, arm.agents, watch=0)
        else:
            episodes = play(keys, options, arm.agents)
        found[name] = episodes._asdict()
    results: Results = {"arms": found, "solvable": solvable, "film": film._asdict()}
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

    solvable = np.asarray(jit_fast_compile(lambda k: jax.lax.map(check, k), level=1)(keys))
    chosen = np.flatnonzero(solvable)[: config.worlds]
    if len(chosen) < config.worlds:
        raise ValueError(
            f"candidates: expected {config.worlds} solvable worlds among them, got {len(chosen)}"
        )
    return keys[jnp.asarray(chosen)], solvable
