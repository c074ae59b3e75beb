"""Episodes of random, scripted and counting policies, and pushes of the transport task's box.

Shapes: ``C`` conditions, ``S`` seeds (episodes).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.swarmbench.config import MESSAGES, MOTION, Config, conditions
from jaxswarm import envs
from jaxswarm.envs import swarmbench
from jaxswarm.envs.swarmbench import SwarmBenchParams
from jaxswarm.envs.swarmbench.codes import STAY, SWITCH

RIGHT = 3  # the action that pushes towards the box


def options(config: Config) -> dict[str, Any]:
    """What all environments of the experiment have in common."""
    return {
        "num_agents": config.agents,
        "size": config.size,
        "time_limit": config.rounds,
        "observe_round": False,
    }


def score_conditions(config: Config, task: str, keys: jax.Array) -> dict[str, Any]:
    """Play a task under all conditions: ``scores [C, S]`` and ``measures {name: [C, S]}``."""
    env = swarmbench.make(task, view=config.view, message_length=2, **options(config))
    scripted = swarmbench.scripted_policy(env)
    random_moves = envs.random_policy(env.action_spec)

    def play(sight: jax.Array, messages: jax.Array, random: jax.Array, key: jax.Array) -> Any:
        def act(key: jax.Array, params: Any, carry: Any, seen: Any) -> Any:
            planned, carry = scripted.act(key, params, carry, seen)
            return jnp.where(random, random_moves.act(key, (), (), seen)[0], planned), carry

        physics = SwarmBenchParams(sight, messages, jnp.float32(0.0))
        policy = envs.Policy(scripted.init, act)
        _, episode = envs.unroll(key, env, policy, config.rounds, env_params=physics)
        extras = episode.timestep.extras
        return extras["score"][-1], {name: jnp.mean(extras[name]) for name in (*MOTION, *MESSAGES)}

    sight, messages, random = (
        jnp.array(column) for column in zip(*conditions(config), strict=True)
    )
    over_seeds = jax.vmap(play, (None, None, None, 0))
    play_all = jit_fast_compile(jax.vmap(over_seeds, (0, 0, 0, None)))
    scores, measures = play_all(sight, messages.astype(jnp.float32), random, keys)
    return {"scores": scores, "measures": measures}


def score_counting(config: Config, keys: jax.Array) -> jax.Array:
    """Points per round in synchronization of agents that count rounds, ``[S]``.

    They neither observe other agents nor receive messages.
    """
    env = swarmbench.make("synchronization", view=1, **options(config))

    def act(key: jax.Array, params: Any, count: jax.Array, seen: Any) -> Any:
        wanted = count % 2 == 0
        is_on = seen.status[:, 0] > 0
        return jnp.where(is_on != wanted, SWITCH, STAY), count + 1

    policy = envs.Policy(lambda seen: jnp.int32(0), act)

    def play(key: jax.Array) -> jax.Array:
        _, episode = envs.unroll(key, env, policy, config.rounds)
        return episode.timestep.extras["score"][-1] / config.rounds

    return jit_fast_compile(jax.vmap(play))(keys)


def push_box(config: Config) -> np.ndarray:
    """Cells that the box moves if 1 to 6 agents in a block behind it push at once, ``[6]``."""
    env = swarmbench.Transport(num_agents=6, size=12, time_limit=config.rounds)
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0))
    task = state.world.task._replace(box=jnp.int32(0))
    terrain = jnp.asarray(env.layouts[1][0], jnp.int32)
    block = jnp.array([[8, 6], [9, 6], [10, 6], [8, 5], [9, 5], [10, 5]])
    world = state.world._replace(task=task, terrain=terrain, position=block)
    state = state._replace(world=world)
    moved = []
    for pushers in range(1, 7):
        after, _ = step(state, jnp.where(jnp.arange(6) < pushers, RIGHT, STAY))
        moved.append(int(jnp.sum(jnp.abs(after.world.task.shift))))
    return np.array(moved)
