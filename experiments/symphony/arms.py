"""Symphony: scales that are swaddled, actions that keep off their bounds, replay that fades.

*Swaddling*: where no value speaks for anything, every scale ``S`` tends to ``1/e`` from wherever it
starts, and none ever exceeds 1. *Bounds*: how often the executed action is beyond 0.95 of its
range, against the same deterministic actions with Gaussian noise of equal deviation added after the
squashing, and clipped. *Fading*: steps until the pendulum's evaluation return reaches a threshold,
against uniform replay of the same buffer; a seed that never does counts as the whole run.

A first pilot with twice the width, nodes and updates held all claims in 176 s; this is what fits.

The network, batch and buffer are smaller than the paper's and the step size larger, for a pendulum;
its Humanoid needs a rigid-body simulator, which is not part of this project.

References:
    T. Ishuov et al., Symphony, 2025 (the code of December 2025).
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from experiments.programs import program
from jaxswarm import envs, plotting, rl, statistics
from jaxswarm.rl.symphony import NOISE, parts, steady_adam, swaddling
from jaxswarm.rollout import rollout

NAME = "symphony"
TITLE = "Symphony: swaddled scales, bounded noise, fading replay"
PAPER = Paper("T. Ishuov et al.", "Symphony", 2025)

# Fixed before the first run.
LOWEST, HIGHEST = 1.0 / math.e - 0.1, 1.0 / math.e + 0.15  # of every scale where values are flat
OFTEN = 0.5  # executed actions at the bounds, relative to clipped noise
RATIO = 1.0  # steps to the threshold, relative to uniform replay
THRESHOLD = -400.0  # return of a pendulum's episode


@dataclass(frozen=True)
class Config:
    """Sizes."""

    swaddling_steps: int = 20_000
    width: int = 32
    nodes: int = 24
    steps: int = 6_000
    updates: int = 1
    warm_up: int = 500
    repeats: int = 20  # of the warm-up in the buffer
    batch: int = 64
    lr: float = 2e-3
    records: int = 24
    episodes: int = 4
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps % self.records:
            raise ValueError(f"steps: expected a multiple of {self.records}, got {self.steps}")


SCALES = {
    "smoke": Config(
        swaddling_steps=50, width=8, nodes=6, steps=8, updates=1, warm_up=50, repeats=2, batch=8,
        records=4, episodes=1, seeds=2,
    ),
    "small": Config(),
    "full": Config(width=64, nodes=48, updates=2, lr=1e-3, seeds=10),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Scales over time, shares of actions at the bounds, returns ``{arm: [S, records]}``."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("swaddling")
    results: dict[str, Any] = {"scales": _scales(config)}
    progress("pendulum: fading and uniform")
    env = envs.Pendulum()
    network = rl.symphony_network_for(env, width=config.width, nodes=config.nodes)
    best = rl.policy(network, shared=True, deterministic=True)
    every = config.steps // config.records

    def one(fade: jax.Array, key: jax.Array) -> Any:
        learner = rl.symphony(
            env,
            network,
            updates=config.updates,
            batch_size=config.batch,
            capacity=config.warm_up * config.repeats,
            warm_up=config.warm_up,
            fade=fade,
            parameters=rl.SymphonyParameters(config.lr),
        )
        start, world, run, test = jax.random.split(key, 4)
        state = learner.init(network.init(start), world)

        def judge(state: Any) -> tuple[jax.Array, jax.Array]:
            params = state.learner.params
            said = rl.evaluate(env, best, test, config.episodes, params=params)
            seen = state.replay.items.features
            scale = parts(network.outputs(params["actor"], seen[:: config.repeats]))[1]
            return jnp.mean(said), jnp.mean(scale)

        state, kept = rollout(
            learner.step, state, config.steps, key=run, every=every, evaluate=judge
        )
        return *kept.evaluation, *_bounds(network, state, test)

    arms = jnp.array([True, False])
    found = program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(arms, keys)
    names = ("return", "scale", "swaddled", "clipped")
    tables = dict(zip(names, map(np.asarray, found), strict=True))
    for name, table in tables.items():
        results[name] = dict(zip(("fading", "uniform"), table, strict=True))
    results["steps"] = config.warm_up + np.arange(1, config.records + 1) * every
    return results


def _scales(config: Config) -> np.ndarray:
    """Scales under swaddling alone, ``[records, starts]``, from scales of 0.02 to 0.98."""
    scale, width = np.meshgrid(np.linspace(0.02, 0.98, 13), np.linspace(0.05, 0.95, 5))
    raw = 2.0 * np.arctanh(np.stack([0.0 * scale, scale, width], axis=-1).reshape(-1, 3))
    direction: Any = steady_adam()
    start = jnp.asarray(raw, jnp.float32)

    def step(key: jax.Array, state: Any, inputs: Any) -> Any:
        outputs, memory = state
        slope = jax.grad(lambda x: jnp.sum(swaddling(x)))(outputs)
        change, memory = direction.update(slope, memory)
        return (outputs - 1e-3 * change, memory), parts(outputs)[1][:, 0]

    every = max(config.swaddling_steps // 50, 1)
    run = program(
        lambda x: (
            rollout(
                step,
                (x, direction.init(x)),
                config.swaddling_steps,
                key=jax.random.key(0),
                every=every,
            )[1].info
        )
    )
    return np.asarray(run(start))


def _bounds(network: Any, state: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Shares of executed actions beyond 0.95: swaddled, and with noise added and clipped."""
    seen = state.replay.items.features
    outputs = network.outputs(state.learner.params["actor"], seen)
    noise = NOISE * jnp.clip(jax.random.normal(key, outputs[:, :1].shape), -math.e, math.e)
    middle = jax.vmap(network.head.mode)(outputs)
    ours = jnp.tanh(middle + noise)
    spread = jnp.std(ours - jnp.tanh(middle))
    other = jnp.clip(jnp.tanh(middle) + spread / NOISE * noise, -1.0, 1.0)
    return jnp.mean(jnp.abs(ours) > 0.95), jnp.mean(jnp.abs(other) > 0.95)


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    last = results["scales"][-1]
    returns, steps = results["return"], results["steps"]
    seeds = len(returns["fading"])
    reached = {
        name: np.where(
            (run >= THRESHOLD).any(axis=1), steps[np.argmax(run >= THRESHOLD, axis=1)], steps[-1]
        ).astype(float)
        for name, run in returns.items()
    }
    faster = statistics.compare(reached["fading"], reached["uniform"], relative=True)
    swaddled, clipped = results["swaddled"]["fading"], results["clipped"]["fading"]
    often = float(swaddled.mean() / max(clipped.mean(), 1e-6))
    some = float(np.mean([(run >= THRESHOLD).any(axis=1).mean() for run in returns.values()]))
    return [
        claim(NAME, "smallest scale without values", "1/e", float(last.min()), at_least=LOWEST),
        claim(NAME, "largest scale without values", "1/e", float(last.max()), at_most=HIGHEST),
        claim(
            NAME,
            "largest scale ever, without values",
            "1",
            float(results["scales"].max()),
            at_most=1.0,
        ),
        claim(
            NAME,
            "pendulum: executed actions at the bounds, relative",
            "noise added and clipped",
            often,
            at_most=OFTEN,
            seeds=seeds,
        ),
        claim(
            NAME,
            "pendulum: steps until the return's threshold, relative change by fading",
            "uniform",
            faster,
            at_most=RATIO - 1.0 - 1e-6,
        ),
        claim(
            NAME,
            "pendulum: share of runs that reach the threshold, both replays",
            "a check of the set-up",
            some,
            at_least=0.5,
            seeds=2 * seeds,
            control=True,
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Scales, returns, actions at the bounds."""
    one, two, three = np.ravel(plotting.panels(1, 3, width=5.2, height=4.0))
    scales = results["scales"]
    one.plot(np.linspace(0, 1, len(scales)), scales, color=plotting.PALETTE[0], lw=0.6)
    one.axhline(1.0 / math.e, color="black", lw=1.0, ls=":")
    one.set(
        title="without values every scale tends to 1/e",
        xlabel="share of the steps",
        ylabel="scale S",
        ylim=(0, 1),
    )
    plotting.curves(
        results["return"],
        results["steps"],
        title="a pendulum: replay that fades, and not",
        xlabel="environment steps",
        ylabel="return of an episode",
        ax=two,
    )
    two.axhline(THRESHOLD, color="black", lw=1.0, ls=":")
    shares = [results[name]["fading"] for name in ("swaddled", "clipped")]
    labels = ("inside the squashing", "added and clipped")
    three.bar(labels, [s.mean() for s in shares], color=plotting.PALETTE[:2])
    for i, share in enumerate(shares):
        three.scatter(np.full(share.shape, i), share, color="black", s=12, zorder=3)
    three.set(title="noise and the bounds", ylabel="share of actions beyond 0.95")
    plotting.save(one, path)


if __name__ == "__main__":
    harness.main(__name__)
