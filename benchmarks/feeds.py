"""Feeds: user-steps per second of simulated feeds, against a loop over users in numpy.

``python -m benchmarks.feeds --json PATH [--quick] [--only SECTION …]``

Random actions; users start anew when all sessions are over, so that rates are of whole crowds, also
of users that left (a step computes them as well). Compilation is apart and segments take turns, as
in ``benchmarks.worlds``. The peer is a simulator as recommender environments are often written, one
Python object per user and numpy for its vectors, with the same dynamics and as many random numbers;
it is timed in the same process, on a part of the users, and its rate is the median of as many
segments. ``on CPU`` rates divide by the process's CPU seconds instead of the clock's: on a machine
in use they hold better, and idle cores make up to their number times that.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from benchmarks.worlds import Row, Runner, table
from jaxswarm import envs
from jaxswarm.envs.feed import FeedParams


def of_feed(env: Any, num_actions: int) -> Runner:
    """Random actions in a feed that starts anew; everything that a step returns is summed."""
    env = envs.AutoReset(env)
    n = env.num_agents

    def step(key: jax.Array, state: Any) -> Any:
        state, timestep = env.step(state, jax.random.randint(key, (n,), 0, num_actions))
        parts = jax.tree.leaves((timestep.extras["rewards"], timestep.observation))
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    state, _ = jax.jit(env.reset)(jax.random.key(0))
    return Runner("jaxswarm", step, state, n)


class NumpyUser:
    """One user of :class:`jaxswarm.envs.FeedEnv`, a request at a time."""

    def __init__(
        self, rng: np.random.Generator, params: FeedParams, num_candidates: int, time_limit: int
    ):
        self.rng, self.params, self.num_candidates = rng, params, num_candidates
        self.time_limit = time_limit
        self.items, self.size = params.user.items, params.user.tastes.shape[1]
        self.loadings = np.stack(
            [getattr(params, f"{kind}_loadings") for kind in ("match", "sticky", "appeal", "user")]
        )
        widen = np.sqrt(1.0 + np.square(self.loadings).sum(axis=0))
        self.thresholds = ndtri(params.rates) * widen
        user = params.user
        self.log_watch = math.log(user.watch) - 0.5 * (
            user.match_slope**2 + user.sticky_slope**2 + user.watch_noise**2
        )
        self.reset()

    def reset(self) -> tuple[np.ndarray, ...]:
        """A fresh user: the first observation."""
        user = self.params.user
        taste = self.rng.standard_normal(self.size)
        self.taste = taste * math.sqrt(self.size) / np.linalg.norm(taste)
        self.profile = self.taste + user.profile_noise * self.rng.standard_normal(self.size)
        self.disposition = self.rng.standard_normal(len(self.params.rates))
        noise = user.patience_noise * self.rng.standard_normal() - 0.5 * user.patience_noise**2
        self.patience = user.patience * math.exp(noise)
        self.satiation, self.interest = np.zeros(self.size), np.zeros(self.size)
        self.fatigue, self.time, self.last = 0.0, 0, np.zeros(1 + len(self.params.rates))
        return self.observe()

    def observe(self) -> tuple[np.ndarray, ...]:
        """Draw the candidates and return what a policy is given."""
        self.slate = self.rng.integers(0, len(self.items), self.num_candidates)
        last = self.last.copy()
        last[0] = math.log1p(last[0])
        passed = np.array([self.time / self.time_limit])
        return self.profile, self.satiation, self.interest, last, passed, self.items[self.slate]

    def means(self, item: np.ndarray) -> tuple[float, np.ndarray]:
        """Expected log watch time without its noise's share, and rates of the responses."""
        user = self.params.user
        topics = item[: self.size]
        match = (self.taste - user.boredom * self.satiation) @ topics / math.sqrt(self.size)
        sticky = item[self.size]
        log_watch = user.match_slope * match + user.sticky_slope * sticky
        log_watch += self.log_watch - user.fatigue_slope * self.fatigue
        effect = self.loadings[0] * match + self.loadings[1] * sticky
        effect += self.loadings[2] * item[self.size + 1 :] + self.loadings[3] * self.disposition
        return log_watch, ndtr(self.thresholds + effect)

    def step(self, action: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, bool]:
        """Observation (of a fresh user, if this one left), responses, and whether it left."""
        user = self.params.user
        item = self.items[self.slate[action]]
        topics = item[: self.size]
        log_watch, rates = self.means(item)
        watch = math.exp(log_watch + user.watch_noise * self.rng.standard_normal())
        happens = (self.rng.random(len(rates)) < rates).astype(float)
        match = (self.taste - user.boredom * self.satiation) @ topics / math.sqrt(self.size)
        lacks = 1.0 - 1.0 / (1.0 + math.exp(user.fatigue_slope * self.fatigue - match))
        keep = user.satiation_decay
        self.satiation = keep * self.satiation + (1.0 - keep) * topics
        self.interest = keep * self.interest + (1.0 - keep) * math.log1p(watch) * topics
        self.fatigue = (1.0 - user.recovery) * self.fatigue + user.fatigue_gain * lacks
        self.patience -= lacks + self.params.hate_cost * happens[-1]
        happens[-1] = -happens[-1]
        self.last = np.concatenate([[watch], happens])
        self.time += 1
        over = self.patience <= 0.0 or self.time >= self.time_limit
        responses = self.last
        return (self.reset() if over else self.observe()), responses, over


def numpy_loop(env: envs.FeedEnv, count: int) -> Callable[[], None]:
    """One random request of each of ``count`` numpy users."""
    rng = np.random.default_rng(0)
    shape = (env.num_candidates, env.time_limit)
    people = [NumpyUser(rng, env.params, *shape) for _ in range(count)]

    def step() -> None:
        for person, action in zip(
            people, rng.integers(0, env.num_candidates, count).tolist(), strict=True
        ):
            person.step(action)

    return step


def timed(run: Callable[[], Any], steps: int, repeats: int) -> tuple[float, float]:
    """Median steps per second of the clock and of the process's CPU, over segments."""
    rates = []
    for _ in range(repeats):
        clock, cpu = time.perf_counter(), time.process_time()
        run()
        spent = time.perf_counter() - clock, time.process_time() - cpu
        rates.append([steps / max(each, 1e-9) for each in spent])
    clock_rates, cpu_rates = zip(*rates, strict=True)
    return statistics.median(clock_rates), statistics.median(cpu_rates)


def row_of(name: str, rates: tuple[float, float], users: int, compile_s: float) -> Row:
    """One row of the report."""
    return {
        "impl": name,
        "steps_per_s": rates[0],
        "agent_steps_per_s": rates[0] * users,
        "agent_steps_per_cpu_s": rates[1] * users,
        "compile_s": compile_s,
    }


def of_runner(runner: Runner, steps: int, repeats: int) -> Row:
    """Rates of segments of ``steps`` steps in one program."""

    @jax.jit
    def run(key: jax.Array, state: Any) -> Any:
        def one(carry: Any, key: jax.Array) -> Any:
            state, total = carry
            state, number = runner.step(key, state)
            return (state, total + number), None

        return jax.lax.scan(one, (state, jnp.float32(0.0)), jax.random.split(key, steps))[0]

    key, began = jax.random.key(0), time.process_time()
    program = run.lower(key, runner.state).compile()
    compile_s = time.process_time() - began
    held = {"state": jax.block_until_ready(program(key, runner.state))[0]}

    def advance() -> None:
        held["state"], _ = jax.block_until_ready(program(key, held["state"]))

    rates = timed(advance, steps, repeats)
    return row_of("jaxswarm", rates, runner.agent_steps, compile_s)


def feed(quick: bool, repeats: int) -> Iterator[tuple[str, list[Row]]]:
    """Short videos, eight candidates; the loop over numpy users beside it."""
    for count in (16,) if quick else (1_024, 16_384):
        env = envs.FeedEnv(num_agents=count)
        steps = 2 if quick else max(1, 400_000 // count)
        ours = of_runner(of_feed(env, env.num_candidates), steps, repeats)
        few = min(count, 256)
        loop, rounds = numpy_loop(env, few), 1 if quick else 20
        loop()
        rates = timed(
            lambda loop=loop, rounds=rounds: [loop() for _ in range(rounds)], rounds, repeats
        )
        yield f"feed, {count:,} users", [ours, row_of("numpy loop", rates, few, 0.0)]


def live(quick: bool, repeats: int) -> Iterator[tuple[str, list[Row]]]:
    """Insertions of live streams."""
    for count in (16,) if quick else (1_024, 16_384):
        steps = 2 if quick else max(1, 400_000 // count)
        rows = [of_runner(of_feed(envs.LiveFeedEnv(count), 2), steps, repeats)]
        yield f"live feed, {count:,} users", rows


SECTIONS: dict[str, Callable[[bool, int], Iterator[tuple[str, list[Row]]]]] = {
    "feed": feed,
    "live": live,
}


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for setting, rows in SECTIONS[section](quick, 2 if quick else 5):
            ours = rows[0]["agent_steps_per_cpu_s"]
            for row in rows:
                row |= {"setting": setting, "ours_over_it": ours / row["agent_steps_per_cpu_s"]}
            found["rows"] += rows
            print(table(rows), flush=True)
            for row in rows:
                print(f"{row['impl']:>62} {row['agent_steps_per_cpu_s']:,.0f} on CPU", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeds", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a check")
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), metavar="SECTION")
    options = parser.parse_args(arguments)
    report = run(options.only or list(SECTIONS), quick=options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
