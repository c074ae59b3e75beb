"""Worlds: agent-steps per second of swarms and environments, against peers in the same process.

``python -m benchmarks.worlds --json PATH [--quick] [--only SECTION …]``

Implementations of one setting take turns, segment by segment; a rate is the median over segments,
and compilation is apart. Environments act at random and everything they return is summed, so that
nothing is left out as dead code. Peers: esquilax's spatial transform with the same sums per boid,
jumanji's SearchAndRescue (both come with jumanji), and JaxMARL's simple_spread where it is
installed.
"""

import importlib.util
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import command
from jaxswarm import envs, space, swarms

Row = dict[str, Any]
NEIGHBORS = 12
"""Of a boid on average; the box grows with the swarm."""


class Runner(NamedTuple):
    """One implementation of one setting.

    Attributes:
        name: of the implementation.
        step: ``step(key, state) -> (state, number)``.
        state: to start from.
        agent_steps: that one step makes.
    """

    name: str
    step: Callable[[jax.Array, Any], tuple[Any, jax.Array]]
    state: Any
    agent_steps: int


def measure(runners: Sequence[Runner], *, seconds: float, repeats: int) -> list[Row]:
    """Rates of implementations that take turns, segments of about ``seconds`` each."""
    ready = [_compiled(runner, seconds) for runner in runners]
    times: list[list[float]] = [[] for _ in runners]
    for _ in range(repeats):
        for turn, (advance, _, _) in enumerate(ready):
            began = time.perf_counter()
            advance()
            times[turn].append(time.perf_counter() - began)
    rows = []
    for runner, own, (_, steps, compile_s) in zip(runners, times, ready, strict=True):
        rate = steps / statistics.median(own)
        rows.append(
            {
                "impl": runner.name,
                "steps_per_s": rate,
                "agent_steps_per_s": rate * runner.agent_steps,
                "compile_s": compile_s,
            }
        )
    return rows


def _compiled(runner: Runner, seconds: float) -> tuple[Callable[[], None], int, float]:
    """``(run a segment, its steps, seconds until the first result)``."""

    def program(steps: int) -> Callable[[jax.Array, Any], Any]:
        def run(key: jax.Array, state: Any) -> Any:
            def one(carry: Any, key: jax.Array) -> Any:
                state, total = carry
                state, number = runner.step(key, state)
                return (state, total + number), None

            start = (state, jnp.float32(0.0))
            return jax.lax.scan(one, start, jax.random.split(key, steps))[0]

        return jax.jit(run)

    key = jax.random.key(0)
    began = time.perf_counter()
    single = program(1).lower(key, runner.state).compile()
    compile_s = time.perf_counter() - began
    jax.block_until_ready(single(key, runner.state))
    began = time.perf_counter()
    jax.block_until_ready(single(key, runner.state))
    once = time.perf_counter() - began
    steps = int(min(max(seconds / max(once, 1e-6), 1), 2000))
    many = program(steps)
    held = {"state": runner.state}

    def advance() -> None:
        held["state"], _ = jax.block_until_ready(many(key, held["state"]))

    advance()
    return advance, steps, compile_s


def boids(quick: bool) -> Iterator[tuple[str, list[Runner]]]:
    """Flocks of one density."""
    for n in (100,) if quick else (1_000, 10_000):
        side = math.sqrt(n * math.pi / NEIGHBORS)
        box = space.Space((side, side))
        law = swarms.boids(box, n)
        state = law.init(jax.random.key(0))
        ours = Runner("jaxswarm", _of_law(law), state, n)
        yield f"boids, {n:,} agents", [ours, *_esquilax_boids(box, law, state, n)]


def vicsek(quick: bool) -> Iterator[tuple[str, list[Runner]]]:
    """Self-propelled particles, four within a disc of the radius."""
    for n in (100,) if quick else (10_000, 100_000):
        side = math.sqrt(n * math.pi / 4)
        law = swarms.vicsek(space.Space((side, side)), n)
        state = law.init(jax.random.key(0))
        yield f"vicsek, {n:,} agents", [Runner("jaxswarm", _of_law(law), state, n)]


def spread(quick: bool) -> Iterator[tuple[str, list[Runner]]]:
    """Cooperative navigation, as many landmarks as agents."""
    sizes = ((3, 4),) if quick else ((3, 64), (3, 1024), (10, 64), (100, 64), (1000, 1))
    for n, count in sizes:
        env = envs.AutoReset(envs.SimpleSpread(n))
        runners = [_of_env("jaxswarm", env, n, count)]
        if importlib.util.find_spec("jaxmarl") and n <= 100:  # beyond, it compiles for minutes
            runners.append(_jaxmarl(n, count))
        yield f"simple spread, {n:,} agents × {count:,}", runners


def search(quick: bool) -> Iterator[tuple[str, list[Runner]]]:
    """Search and rescue: searchers, targets, worlds side by side."""
    sizes = ((2, 4, 2),) if quick else ((2, 40, 64), (2, 40, 1024), (100, 100, 16), (1000, 1000, 1))
    for n, targets, count in sizes:
        from jumanji.environments.swarms.search_and_rescue.env import SearchAndRescue
        from jumanji.environments.swarms.search_and_rescue.generator import RandomGenerator

        ours = envs.SearchAndRescue(n, targets)
        theirs = SearchAndRescue(generator=RandomGenerator(num_targets=targets, num_searchers=n))
        yield (
            f"search and rescue, {n:,} agents, {targets:,} targets × {count:,}",
            [_of_env("jaxswarm", ours, n, count), _of_env("jumanji", theirs, n, count)],
        )


SECTIONS = {"boids": boids, "vicsek": vicsek, "spread": spread, "search": search}


def _of_law(law: Any) -> Callable[[jax.Array, Any], Any]:
    def step(key: jax.Array, state: Any) -> Any:
        state, info = law.step(key, state)
        return state, jnp.float32(info.polarization)

    return step


def _of_env(name: str, env: Any, n: int, count: int) -> Runner:
    """Random actions in ``[-1, 1]²`` in ``count`` worlds."""

    def step(key: jax.Array, state: Any) -> Any:
        action = jax.random.uniform(key, (count, n, 2), minval=-1.0, maxval=1.0)
        state, timestep = jax.vmap(env.step)(state, action)
        parts = jax.tree.leaves((timestep.reward, timestep.observation))
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    keys = jax.random.split(jax.random.key(0), count)
    state, _ = jax.jit(jax.vmap(env.reset))(keys)
    return Runner(name, step, state, n * count)


def _esquilax_boids(box: space.Space, law: Any, start: Any, n: int) -> list[Runner]:
    """The same sums by esquilax's spatial transform; steering and motion are ours."""
    import esquilax

    p, side = law.parameters, box.sides[0]
    zero = jnp.zeros(2)
    add = esquilax.reductions.Reduction(fn=(jnp.add,) * 4, id=(jnp.zeros(()), zero, zero, zero))

    def other(personal: Any, own: Any, seen: Any) -> Any:
        gap = seen[:2] - own[:2]
        gap = gap - side * jnp.round(gap / side)
        squared = jnp.sum(jnp.square(gap))
        near = (squared < personal**2) & (squared > 0.0)
        push = jnp.where(near, 1.0 / jnp.where(near, squared, 1.0), 0.0)
        return jnp.ones(()), seen[2:], gap, -push * gap

    sums = esquilax.transforms.spatial(  # pyright: ignore[reportPrivateImportUsage]
        other, reduction=add, include_self=False, i_range=1.0, dims=side
    )

    def step(key: jax.Array, state: Any) -> Any:
        del key
        own = jnp.concatenate([state.positions, state.velocities], axis=1)
        count, velocity, offset, away = sums(p.personal, own, own, pos=state.positions)
        some = jnp.maximum(count, 1.0)[:, None]
        align = jnp.where((count == 0.0)[:, None], 0.0, velocity / some - state.velocities)
        steer = p.separation * away + p.alignment * align + p.cohesion * offset / some
        velocities = state.velocities + steer
        speed = space.length(velocities)[:, None]
        velocities *= jnp.clip(speed, p.min_speed, p.max_speed) / jnp.maximum(speed, 1e-9)
        positions, velocities = box.move(state.positions + velocities, velocities)
        state = state._replace(positions=positions, velocities=velocities)
        return state, swarms.polarization(velocities)

    return [Runner("esquilax", step, start, n)]


def _jaxmarl(n: int, count: int) -> Runner:
    from jaxmarl import make  # pyright: ignore[reportMissingImports]

    env = make("MPE_simple_spread_v3", num_agents=n, num_landmarks=n)

    def step(key: jax.Array, state: Any) -> Any:
        act, move = jax.random.split(key)
        actions = {
            agent: jax.random.randint(k, (count,), 0, 5)
            for agent, k in zip(env.agents, jax.random.split(act, n), strict=True)
        }
        out = jax.vmap(env.step)(jax.random.split(move, count), state, actions)
        seen, state, reward = out[:3]
        parts = jax.tree.leaves((seen, reward))
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    keys = jax.random.split(jax.random.key(0), count)
    _, state = jax.jit(jax.vmap(env.reset))(keys)
    return Runner("jaxmarl", step, state, n * count)


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    if not importlib.util.find_spec("jaxmarl"):
        print("JaxMARL is not installed: its rows are left out", file=sys.stderr)
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for setting, runners in SECTIONS[section](quick):
            rows = measure(runners, seconds=0.05 if quick else 1.0, repeats=2 if quick else 5)
            ours = rows[0]["agent_steps_per_s"]
            for row in rows:
                row |= {"setting": setting, "ours_over_it": ours / row["agent_steps_per_s"]}
            found["rows"] += rows
            print(table(rows), flush=True)
    return found


def run_sections(
    by_name: dict[str, Callable[[bool, float], Iterator[list[Row]]]],
    sections: Sequence[str],
    *,
    quick: bool,
    peer: str,
) -> dict[str, Any]:
    """All rows of a benchmark whose first row in each setting is ours; prints them.

    Args:
        by_name: ``section(quick, seconds)`` yields the measured rows of a setting.
        sections: names of those that run.
        quick: tiny sizes.
        peer: package whose rows are left out where it is not installed.
    """
    if not importlib.util.find_spec(peer):
        print(f"{peer} is not installed: what it takes part in is left out", file=sys.stderr)
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for rows in by_name[section](quick, 0.05 if quick else 1.0):
            ours = rows[0]["agent_steps_per_s"]
            rows = [row | {"ours_over_it": ours / row["agent_steps_per_s"]} for row in rows]
            found["rows"] += rows
            print(table(rows), flush=True)
    return found


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:52} {row['impl']:10}{row['steps_per_s']:>11.4g} steps/s"
        f"{row['agent_steps_per_s']:>12,.0f} agent-steps/s{row['compile_s']:>8.1f} s to compile"
        + ("" if row["impl"] == "jaxswarm" else f"   jaxswarm {row['ours_over_it']:.1f} ×")
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command.main("worlds", __doc__, SECTIONS, run, arguments)


if __name__ == "__main__":
    main()
