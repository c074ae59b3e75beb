"""Make levels, compare generators, train all arms on their curricula."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.dred import generative
from experiments.dred.config import FAMILIES, OTHER_FAMILIES, Config
from experiments.dred.training import World, setup_of, stacked_arms, train
from experiments.dred.worlds import stacked_sets
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import agents
from jaxswarm.envs import maze

SHOWN = 4  # levels of each kind that the figure shows


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run the comparison of generators and the training.

    Returns:
        ``generators``: ``{name: {"shift": [S], "unsolvable": [S]}}``; ``training``: ``{arm:
        {"solved": {set: [S, C]}, "return": {set: [S, C]}, "large": [S], "trained": [S, C],
        "shift": [S], "information": [S], "recognized": [S]}}`` with test sets ``starting``,
        ``held_out`` and ``other``; ``examples``: ``{name: {field: […]}}``, levels of the first
        seed.
    """
    progress("levels")
    sets = stacked_sets(config)
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    setup = setup_of(config)
    progress("VAE and other generators")

    def fit(key: jax.Array, starting: maze.Level) -> tuple:
        return generative.fit(config, setup.vae, jax.random.fold_in(key, 0), starting)

    def generate(key: jax.Array, *inputs: Any) -> dict[str, maze.Level]:
        return generative.generated(config, setup.vae, jax.random.fold_in(key, 1), *inputs)

    starting = jax.device_put(sets["starting"])
    weights, codes = jit_fast_compile(jax.vmap(fit), level=1)(keys, starting)
    made = jit_fast_compile(jax.vmap(generate), level=0)(keys, starting, weights, codes)
    measure = jit_fast_compile(jax.vmap(jax.vmap(generative.features)), level=0)
    held_out = np.asarray(measure(sets["held_out"]))
    count = sets["starting"].tiles.shape[1]
    results: Results = {"generators": {}, "training": {}, "examples": {}}
    names = list(made)
    joined = jax.tree.map(lambda *x: np.concatenate(x, axis=1), *made.values())
    measured = np.split(np.asarray(measure(joined)), len(names), axis=1)
    for name, found in zip(names, measured, strict=True):
        results["generators"][name] = _distance(found, held_out)
        results["examples"][name] = _examples(made[name])
    progress("training of all arms")
    tests = [sets[name] for name in ("starting", "held_out", "other")]
    world = World(
        starting=sets["starting"],
        random=jax.tree.map(lambda x: x[:, :count], made["DR"]),
        pool=sets["pool"],
        tests=jax.tree.map(lambda *x: np.concatenate(x, axis=1), *tests),
        large=sets["large"],
        weights=weights,
        codes=codes,
    )

    def train_seed(key: jax.Array, world: World) -> dict[str, jax.Array]:
        arm = jax.vmap(lambda arm: train(jax.random.fold_in(key, 2), config, setup, arm, world))
        return arm(stacked_arms(config))

    found = jit_fast_compile(jax.vmap(train_seed), level=1)(keys, world)
    found = jax.tree.map(np.asarray, found)
    bounds = np.cumsum((0, count, len(FAMILIES) * config.held_out))
    bounds = [*bounds, bounds[-1] + len(OTHER_FAMILIES) * config.held_out]
    buffers = np.asarray(
        measure(jax.tree.map(lambda x: x.reshape(config.seeds, -1, *x.shape[3:]), found["levels"]))
    )
    buffers = np.split(buffers, len(config.arms), axis=1)
    for number, name in enumerate(config.arms):
        returns = {
            which: found["return"][:, number, :, low:high]
            for which, low, high in zip(
                ("starting", "held_out", "other"), bounds[:-1], bounds[1:], strict=True
            )
        }
        results["training"][name] = {
            "return": {which: values.mean(2) for which, values in returns.items()},
            "solved": {which: (values > 0.0).mean(2) for which, values in returns.items()},
            "large": (found["large"][:, number] > 0.0).mean(1),
            "trained": found["trained"][:, number],
            "information": found["information"][:, number],
            "recognized": found["recognized"][:, number],
            **_distance(buffers[number], held_out),
        }
        results["examples"][f"buffer of {name}"] = _examples(
            jax.tree.map(lambda x, n=number: x[:, n], found["levels"])
        )
    return results


def _distance(found: np.ndarray, held_out: np.ndarray) -> dict[str, np.ndarray]:
    """Distance from the held-out levels and unsolvable share, ``[S]``, from features of levels."""
    pairs = zip(found, held_out, strict=True)
    return {
        "shift": np.array([generative.shift(*pair) for pair in pairs]),
        "unsolvable": found[:, :, -1].mean(1),
    }


def _examples(levels: maze.Level) -> dict[str, np.ndarray]:
    return {k: np.asarray(v)[0, :SHOWN] for k, v in levels._asdict().items()}
