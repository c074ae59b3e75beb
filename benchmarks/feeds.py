"""Feeds: user-steps per second of simulated feeds, against a loop over users in numpy.

``python -m benchmarks.feeds --json PATH [--quick] [--only SECTION …]``

Random actions of patient users, who stay until the end of their session and then start anew: no
user-step that is counted is one of an absent user. Compilation is apart. The peer is a simulator as
recommender environments are often written, one Python object per user and numpy for its vectors,
with the same dynamics and as many random numbers, on a part of the users; both are timed in turn in
one process, rates are medians over segments. ``on CPU`` rates divide by the process's CPU seconds
instead of the clock's: on a machine in use they hold better, and idle cores make up to their number
times that.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from benchmarks import command
from benchmarks.worlds import Row, Runner
from jaxswarm import envs
from jaxswarm.envs.feed import FeedParams, LiveFeedParams
from jaxswarm.types import Key, PyTree

Physics = TypeVar("Physics", bound=FeedParams | LiveFeedParams)


def patient(params: Physics) -> Physics:
    """Physics in which no session ends before its last request."""
    params = params._replace(user=params.user._replace(patience=1e6))
    if isinstance(params, LiveFeedParams):
        return params._replace(churn=0.0)
    return params


def of_feed(feed: envs.FeedEnv | envs.LiveFeedEnv, num_actions: int) -> Runner:
    """Random actions in a feed that starts anew; everything that a step returns is summed."""
    env, n = envs.AutoReset(feed), feed.num_agents

    def step(key: Key, state: PyTree) -> tuple[PyTree, jax.Array]:
        state, timestep = env.step(state, jax.random.randint(key, (n,), 0, num_actions))
        parts = jax.tree.leaves((timestep.extras["rewards"], timestep.observation))
        sums = (jnp.sum(part, dtype=jnp.float32) for part in parts)
        return state, sum(sums, start=jnp.float32(0.0))

    state, _ = jax.jit(env.reset)(jax.random.key(0), patient(feed.params))
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
    users = [NumpyUser(rng, patient(env.params), *shape) for _ in range(count)]

    def step() -> None:
        for user, action in zip(
            users, rng.integers(0, env.num_candidates, count).tolist(), strict=True
        ):
            user.step(action)

    return step


def measure(
    names: Sequence[str], segments: Sequence[Callable[[], Any]], sizes: Sequence[int], repeats: int
) -> list[Row]:
    """Median user-steps per second of the clock and of the process's CPU; segments take turns.

    Args:
        names: of the implementations.
        segments: functions that run one segment.
        sizes: user-steps of a segment.
        repeats: segments of each.
    """
    spent: list[list[tuple[float, float]]] = [[] for _ in segments]
    for _ in range(repeats):
        for run, times in zip(segments, spent, strict=True):
            clock, cpu = time.perf_counter(), time.process_time()
            run()
            times.append((time.perf_counter() - clock, time.process_time() - cpu))
    rows = []
    for name, size, times in zip(names, sizes, spent, strict=True):
        clock, cpu = (statistics.median(x) for x in zip(*times, strict=True))
        rows.append(
            {
                "impl": name,
                "user_steps_per_s": size / max(clock, 1e-9),
                "user_steps_per_cpu_s": size / max(cpu, 1e-9),
                "compile_cpu_s": 0.0,
            }
        )
    return rows


def compiled(runner: Runner, steps: int) -> tuple[Callable[[], None], float]:
    """A segment of ``steps`` steps in one program, and the CPU seconds that compiling it took."""

    @jax.jit
    def run(key: Key, state: PyTree) -> tuple[PyTree, jax.Array]:
        def one(carry: tuple[PyTree, jax.Array], key: Key) -> tuple[PyTree, None]:
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

    return advance, compile_s


def feed(quick: bool, repeats: int) -> Iterator[tuple[str, list[Row]]]:
    """Short videos, eight candidates; the loop over numpy users beside it."""
    for count in (16,) if quick else (1_024, 16_384):
        env = envs.FeedEnv(num_agents=count)
        steps, few, rounds = (2, 16, 1) if quick else (400_000 // count, 256, 20)
        advance, compile_s = compiled(of_feed(env, env.num_candidates), steps)
        one = numpy_loop(env, few)

        def loop(one: Callable[[], None] = one, rounds: int = rounds) -> None:
            for _ in range(rounds):
                one()

        names, sizes = ("jaxswarm", "numpy loop"), (steps * count, rounds * few)
        rows = measure(names, (advance, loop), sizes, repeats)
        rows[0]["compile_cpu_s"] = compile_s
        yield f"feed, {count:,} users", rows


def live(quick: bool, repeats: int) -> Iterator[tuple[str, list[Row]]]:
    """Insertions of live streams."""
    for count in (16,) if quick else (1_024, 16_384):
        steps = 2 if quick else 400_000 // count
        advance, compile_s = compiled(of_feed(envs.LiveFeedEnv(count), 2), steps)
        rows = measure(("jaxswarm",), (advance,), (steps * count,), repeats)
        rows[0]["compile_cpu_s"] = compile_s
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
            ours = rows[0]["user_steps_per_cpu_s"]
            for row in rows:
                row |= {"setting": setting, "ours_over_it": ours / row["user_steps_per_cpu_s"]}
            found["rows"] += rows
            print(table(rows), flush=True)
    return found


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:24} {row['impl']:10}{row['user_steps_per_s']:>13,.0f} user-steps/s"
        f"{row['user_steps_per_cpu_s']:>13,.0f} on CPU{row['compile_cpu_s']:>7.1f} s to compile"
        + ("" if row["impl"] == "jaxswarm" else f"   jaxswarm {row['ours_over_it']:.1f} ×")
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command.main("feeds", __doc__, SECTIONS, run, arguments)


if __name__ == "__main__":
    main()
