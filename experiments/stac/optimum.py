"""The best risk-averse policies on RiskyPointMass, by dynamic programming.

STAC's own fixed point without entropy: ``V(s) = max_a E[y] - β · std[y]`` with the one-step target
``y = r + γ V(s')``. Its policies show how much of the risk a given ``β`` can avoid at most.

Shapes: ``B`` pessimism weights, ``G`` grid points a side, ``D`` directions, ``W`` points of noise.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from experiments.harness.compile import jit_fast_compile
from jaxswarm import agents, envs

GRID, DIRECTIONS, SWEEPS = 51, 32, 80


def strike_chance(params: Any, position: jax.Array) -> jax.Array:
    """Probability of the loss on arriving at positions ``[…, 2]``."""
    away = jnp.linalg.norm(position - params.disc_center, axis=-1)
    chance = params.risk * jnp.exp(-4.0 * jnp.square(away / params.disc_radius))
    return jnp.where(away < params.disc_radius, chance, 0.0)


def optimal_policies(
    betas: tuple[float, ...], discount: float, episodes: int, seed: int
) -> dict[str, np.ndarray]:
    """Evaluate the best policy for each pessimism weight.

    Returns:
        ``inside [B]``, share of steps in the disc, and ``strikes [B]``, expected losses an episode,
        both of episodes that start outside of the disc; ``return [B]``, of all episodes.
    """
    env = envs.RiskyPointMass()
    physics = env.params
    angle = 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    moves = jnp.asarray(unit / np.abs(unit).max(axis=1, keepdims=True), jnp.float32)  # [D, 2]
    wind = physics.noise / np.sqrt(3.0) * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    wind = jnp.asarray(wind, jnp.float32)  # [W, 2]: mean and variance of the noise
    line = jnp.linspace(0.0, 1.0, GRID)
    grid = jnp.stack(jnp.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)

    def scores(value: jax.Array, position: jax.Array, beta: jax.Array) -> jax.Array:
        """``E[y] - β · std[y]`` of all directions at one position, ``[D]``."""
        after = position[None, None] + physics.speed * moves[:, None] + wind[None]
        after = jnp.clip(after, 0.0, 1.0)  # [D, W, 2]
        to_goal = jnp.linalg.norm(after, axis=-1)
        at = [(after[..., i] * (GRID - 1)) for i in range(2)]
        ahead = map_coordinates(value.reshape(GRID, GRID), at, order=1)
        ahead = jnp.where(to_goal < physics.goal_radius, 0.0, ahead)
        calm = -to_goal - 0.1 + discount * ahead
        chance = strike_chance(physics, after)
        mean = calm - physics.loss * chance
        spread = jnp.square(physics.loss) * chance * (1.0 - chance)
        variance = jnp.mean(spread, axis=1) + jnp.var(mean, axis=1)
        return jnp.mean(mean, axis=1) - beta * jnp.sqrt(variance)

    def solve(beta: jax.Array) -> jax.Array:
        def sweep(value: jax.Array, _: None) -> tuple[jax.Array, None]:
            best = jax.vmap(lambda position: jnp.max(scores(value, position, beta)))(grid)
            return best, None

        return jax.lax.scan(sweep, jnp.zeros(len(grid)), length=SWEEPS)[0]

    def play(value: jax.Array, beta: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        def act(key: jax.Array, seen: Any) -> jax.Array:
            return moves[jnp.argmax(scores(value, seen.position[0], beta))][None]

        _, steps = envs.unroll(key, env, envs.scripted(act), 60)
        return audit(steps, physics)

    def evaluate(beta: jax.Array) -> dict[str, jax.Array]:
        keys = agents.keys(jax.random.key(seed), episodes)
        value = solve(beta)
        outside, inside, counted, strikes, total = jax.vmap(play, (None, None, 0))(
            value, beta, keys
        )
        return {
            "inside": jnp.sum(inside) / jnp.maximum(jnp.sum(counted), 1),
            "strikes": jnp.sum(strikes) / jnp.maximum(jnp.sum(outside), 1),
            "return": jnp.mean(total),
        }

    found = jit_fast_compile(lambda betas: jax.lax.map(evaluate, betas))(jnp.array(betas))
    return jax.tree.map(np.asarray, found)


def audit(steps: Any, physics: Any) -> tuple[jax.Array, ...]:
    """Risk of one episode, as five numbers.

    Whether it starts outside of the disc; its steps inside, its steps and its expected losses, all
    three 0 unless it does; and its return.
    """
    present = steps.observation.agent_mask[:, 0]
    start = steps.observation.position[0, 0]
    outside = jnp.linalg.norm(start - physics.disc_center) >= physics.disc_radius
    hazard = strike_chance(physics, steps.timestep.observation.position[:, 0])
    inside = jnp.sum(steps.timestep.extras["inside"])
    counts = (inside, jnp.sum(present), jnp.sum(jnp.where(present, hazard, 0.0)))
    return outside, *(outside * x for x in counts), jnp.sum(steps.timestep.reward)
