"""Multi-Agent Crafter beside Craftax-Classic: environment steps per second of random actions.

``python -m benchmarks.crafter --json PATH [--quick] [--only SECTION …]``

Worlds of 64 × 64 cells side by side. Craftax-Classic has one player a world, zombies, skeletons and
arrows; ours has one or six players and cows alone, so per agent the comparison is of what a step
costs a user, not of the same rules. Neither resets within a segment's steps except at an episode's
end; observations are symbolic in both. Implementations take turns, segment by segment, and
compilation is apart, as in ``benchmarks.worlds``. Craftax is left out where it is not installed
(extra ``crafter``).
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import command
from benchmarks.worlds import Row, Runner, measure, run_sections
from jaxswarm import envs

WORLDS = 16


def ours(num_agents: int, count: int, size: int = 64) -> Runner:
    """Random actions of every player in ``count`` worlds."""
    env = envs.MultiAgentCrafter(num_agents, size, time_limit=10_000)
    many = envs.AutoReset(envs.Vmapped(env, count))

    def step(key: jax.Array, state: Any) -> Any:
        action = jax.random.randint(key, (count, num_agents), 0, env.num_actions)
        state, timestep = many.step(state, action)
        parts = (timestep.reward, timestep.observation.view, timestep.observation.inventory)
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    start = jax.jit(lambda key: many.reset(key)[0])
    name = f"jaxswarm, {num_agents} agents" if num_agents > 1 else "jaxswarm, 1 agent"
    return Runner(name, step, start(jax.random.key(0)), num_agents * count)


def craftax(count: int) -> Runner:
    """Random actions in ``count`` worlds of Craftax-Classic with symbolic observations."""
    from craftax.craftax_env import (  # pyright: ignore[reportMissingImports]
        make_craftax_env_from_name,
    )

    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=False)
    params = env.default_params

    def step(key: jax.Array, state: Any) -> Any:
        action_key, step_key = jax.random.split(key)
        action = jax.random.randint(action_key, (count,), 0, 17)
        keys = jax.random.split(step_key, count)
        observation, state, reward, _, _ = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, state, action, params
        )
        return state, jnp.sum(reward) + jnp.sum(observation)

    start = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    _, state = start(jax.random.split(jax.random.key(0), count), params)
    return Runner("craftax-classic", step, state, count)


def random_actions(quick: bool, seconds: float) -> Iterator[list[Row]]:
    """Random actions in worlds side by side."""
    count = 2 if quick else WORLDS
    runners = [ours(6, count, 16 if quick else 64)]
    if not quick:
        runners.append(ours(1, count))
        if importlib.util.find_spec("craftax"):
            runners.append(craftax(count))
    rows = measure(runners, seconds=seconds, repeats=2 if quick else 5)
    yield [row | {"setting": f"crafter, random actions × {count}"} for row in rows]


SECTIONS: dict[str, Callable[[bool, float], Iterator[list[Row]]]] = {"random": random_actions}


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    return run_sections(SECTIONS, sections, quick=quick, peer="craftax")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command.main("crafter", __doc__, SECTIONS, run, arguments)


if __name__ == "__main__":
    main()
