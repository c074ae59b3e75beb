"""How much the critic's representation tells about the level it was computed in.

Shapes: ``T`` steps, ``E`` levels, ``N`` agents, ``D`` hidden units.
"""

import jax
import jax.numpy as jnp

from experiments.dred.config import Config
from jaxswarm import rl
from jaxswarm.envs import maze
from jaxswarm.rl import curriculum
from jaxswarm.rl.on_policy import restart
from jaxswarm.types import Key, Params, PyTree


def level_probe(
    key: Key,
    config: Config,
    env: maze.CaveEscape,
    network: rl.Network,
    params: Params,
    levels: maze.Level,
) -> curriculum.LevelInformation:
    """Fit a classifier of the level to representations of one collection, test it on another.

    Args:
        key: consumed.
        config: sizes.
        env: the maze.
        network: actor and critic.
        params: their weights after training.
        levels: the starting set, of which the first ``config.probed`` are classified.

    Returns:
        Information in nats, at most ``log(probed)``, and the share of steps recognized.
    """
    count = min(config.probed, levels.tiles.shape[0])
    runner = rl.OnPolicyRunner(env, network, count, True)
    levels = jax.tree.map(lambda x: x[:count], levels)
    physics = jax.vmap(lambda level: curriculum.level_params(env, level))(levels)

    def collected(key: Key) -> jax.Array:
        reset_key, collect_key = jax.random.split(key)
        state = runner.reset(reset_key, physics, per_env=True)
        _, transitions, _ = runner.collect(collect_key, params, state, config.steps)
        hidden = hidden_layer(config, params["critic"], transitions)
        return hidden.reshape(config.steps * count, -1)

    rows, tests = jax.lax.map(collected, jax.random.split(key))
    label = jnp.tile(jnp.arange(count), config.steps)
    return curriculum.level_information(rows, label, tests, label, count)


def hidden_layer(config: Config, critic: Params, transitions: rl.Transition) -> jax.Array:
    """Activations before the critic's output layer, ``[T, E, N, D]``.

    The output layer is replaced by the identity.
    """
    inputs = transitions.critic_input
    width = config.hidden or config.width
    identity = {"kernel": jnp.eye(width), "bias": jnp.zeros(width)}
    weights = {**critic, f"Dense_{len(config.widths)}": identity}
    torso = rl.actor_critic_network(
        rl.categorical(width),
        inputs.shape[-1],
        widths=config.widths,
        hidden_size=config.hidden,
    )
    apply = jax.vmap(jax.vmap(lambda carry, x: torso.actor(weights, carry, x)))
    initial = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (*inputs.shape[1:3], *x.shape)),
        torso.initial_carry()["actor"],
    )

    def step(carry: PyTree, at: tuple[jax.Array, jax.Array]) -> tuple[PyTree, jax.Array]:
        return apply(restart(carry, initial, at[1]), at[0])

    return jax.lax.scan(step, initial, (inputs, transitions.first))[1]
