"""The grid part: a class-conditional mixture of modes in the plane.

Shapes: ``S`` seeds, ``n`` samples, ``M`` modes, ``K`` experts.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.decentralized_diffusion.config import Config
from experiments.decentralized_diffusion.training import (
    Arm,
    distill,
    sample,
    train,
    velocity_flops,
)
from experiments.harness.compile import jit_fast_compile
from jaxswarm import data, generative
from jaxswarm.models import flow

NEAR = 3.0  # a sample is on a mode within so many standard deviations
MAP_CELLS = 61  # points along each axis of the router's map
MAP_TIMES = (0.0, 0.5, 1.0)
FULL: dict[str, Any] = {"mode": "threshold", "threshold": 1.0}
"""All experts; a program with other thresholds, and so compiled only once."""
MODES_OF_CLUSTERS: dict[str, dict[str, Any]] = {
    "full": FULL,
    "top-1": {"mode": "top_k", "k": 1},
    "top-2": {"mode": "top_k", "k": 2},
    "sampled": {"mode": "sampled"},
    "once": {"mode": "once"},
}
UNEQUAL = ("full", "top-1")
CONTROLS = ("full", "top-1", "once")

Plan = tuple[str, str, dict[str, Any], dict[str, np.ndarray]]
"""Name of a measurement, the arm, options of sampling, and those that differ by seed."""


class Grid(NamedTuple):
    """Training and test data of all seeds.

    Attributes:
        x: ``float32[S, n, 2]``, training samples.
        condition: ``int32[S, n]``, their classes.
        clusters: ``int32[S, n]``, their clusters.
        test: ``float32[S, m, 2]``, fresh samples.
        test_mode: ``int32[S, m]``, their modes.
        class_of_mode: ``int32[S, M]``.
        cluster_of_mode: ``int32[S, M]``, the cluster of most of a mode's training samples.
        modes: ``float32[M, 2]``.
    """

    x: np.ndarray
    condition: np.ndarray
    clusters: np.ndarray
    test: np.ndarray
    test_mode: np.ndarray
    class_of_mode: np.ndarray
    cluster_of_mode: np.ndarray
    modes: np.ndarray


def build_grid(config: Config) -> Grid:
    """Draw data and classes of every seed and cluster the samples."""
    modes = data.grid_modes(config.side)
    count = len(modes)
    per_seed = []
    for index in range(config.seeds):
        seed = config.seed + index
        train_key, test_key = jax.random.split(jax.random.key(seed))

        def draw(key: jax.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
            batch = data.gaussian_grid(key, size, config.side, deviation=config.deviation)
            return np.asarray(batch.x), np.asarray(batch.y)

        x, mode = draw(train_key, config.samples)
        test, test_mode = draw(test_key, config.drawn)
        class_of_mode = np.random.default_rng(seed).permutation(count) % config.classes
        clusters = generative.cluster(x, config.experts, num_centroids=config.centroids, seed=seed)
        table = np.zeros((count, config.experts), int)
        np.add.at(table, (mode, clusters), 1)
        per_seed.append(
            (x, class_of_mode[mode], clusters, test, test_mode, class_of_mode, table.argmax(1))
        )
    columns: list[np.ndarray] = [np.stack(column) for column in zip(*per_seed, strict=True)]
    x, condition, clusters, test, test_mode, class_of_mode, cluster_of_mode = (
        column if column.dtype == np.float32 else column.astype(np.int32) for column in columns
    )
    return Grid(x, condition, clusters, test, test_mode, class_of_mode, cluster_of_mode, modes)


def run_grid(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train all arms on the grid and measure their samples.

    Returns:
        ``arms[name]``: ``precision``, ``energy`` and ``displaced`` of every seed, ``[S]``;
        ``loss``; ``flops``; ``lost``; ``figure``; see the functions below.
    """
    progress("grid: data and clusters")
    grid = build_grid(config)
    keys = jax.vmap(jax.random.key)(config.seed + np.arange(config.seeds))
    shuffled = np.stack(
        [
            np.random.default_rng(config.seed + index).permutation(config.samples) % config.experts
            for index in range(config.seeds)
        ]
    )
    # A constant condition carries no information, and needs no other program than a real one.
    same = np.zeros_like(grid.condition)
    settings = {
        "monolith": (config.monolith_width, grid.condition, np.zeros_like(grid.clusters)),
        "clusters": (config.width, grid.condition, grid.clusters),
        "random": (config.width, grid.condition, shuffled),
        "unconditional": (config.width, same, grid.clusters),
    }
    if config.expert_widths:
        by_size = _by_size(grid.clusters)
        settings["unequal"] = (config.expert_widths, grid.condition, by_size)

    def build(width: int) -> flow.MLP:
        return flow.MLP(width=width, num_classes=config.classes)

    trained = {}
    for name, (width, condition, clusters) in settings.items():
        progress(f"grid: train {name}")
        trained[name] = train(
            keys,
            tuple(map(build, width)) if isinstance(width, tuple) else build(width),
            flow.MLP(width=config.router_width, depth=2, num_classes=config.classes),
            grid.x,
            condition,
            clusters,
            num_classes=config.classes,
            batch=config.batch,
            steps=config.steps,
            lr=config.lr,
            slots=config.samples if name == "monolith" else _slots(grid.clusters, shuffled),
        )
    if config.is_distilled:
        progress("grid: distill")
        trained["student"] = distill(
            keys,
            trained["clusters"],
            trained["monolith"],
            batch=config.batch // 4,
            steps=config.steps,
            lr=config.lr,
        )
    return {
        "arms": _sample_and_measure(config, progress, grid, keys, trained),
        "loss": {name: arm.loss for name, arm in trained.items()},
        "flops": {
            "monolith": velocity_flops(trained["monolith"], config.drawn),
            "full": velocity_flops(trained["clusters"], config.drawn, mode="full"),
            "top-1": velocity_flops(trained["clusters"], config.drawn, mode="top_k", k=1),
        },
        "share": np.stack([np.bincount(c, minlength=config.experts) for c in grid.clusters])
        / config.samples,
        "lost_expert": np.arange(config.seeds) % config.experts,
        "figure": _for_figure(config, grid, trained, keys),
    }


def _by_size(clusters: np.ndarray) -> np.ndarray:
    """Clusters of every seed, numbered by their sizes from the smallest, ``int32[S, n]``."""
    return np.stack([np.argsort(np.argsort(np.bincount(own)))[own] for own in clusters]).astype(
        np.int32
    )


def _slots(*partitions: np.ndarray) -> int:
    """Samples of the largest part of all partitions."""
    return max(int(np.bincount(own).max()) for partition in partitions for own in partition)


def _sample_and_measure(
    config: Config,
    progress: Callable[[str], None],
    grid: Grid,
    keys: jax.Array,
    trained: dict[str, Arm],
) -> dict[str, Any]:
    """Samples of every arm and mode against the test set.

    Returns:
        For each arm ``precision [S]``, the share of samples within :data:`NEAR` deviations of a
        mode of their class (without a condition: of any mode); ``energy [S]``, the energy distance
        to the test set; ``modes [S, M]``, the shares of modes among the samples, each counted at
        the nearest mode of its class; ``displaced [S]``, their total variation from those of the
        test set.
    """
    condition = np.take_along_axis(grid.class_of_mode, grid.test_mode, axis=1)
    oracle = np.take_along_axis(grid.cluster_of_mode, grid.test_mode, axis=1)
    available = ~np.eye(config.experts, dtype=bool)[np.arange(config.seeds) % config.experts]
    plans: list[Plan] = [("monolith", "monolith", {}, {})]
    modes = {name: own for name, own in MODES_OF_CLUSTERS.items() if name in config.modes}
    plans += [(mode, "clusters", options, {}) for mode, options in modes.items()]
    if "oracle" in config.modes:
        plans.append(("oracle", "clusters", {"mode": "oracle"}, {"expert": oracle}))
    plans.append(("expert lost", "clusters", FULL, {"available": available}))
    kept = {"mode": "threshold", "threshold": config.threshold}
    plans.append(("threshold", "clusters", kept, {}))
    if "student" in trained:
        plans.append(("student", "student", {}, {}))
    if "unequal" in trained:
        plans += [(f"unequal {mode}", "unequal", MODES_OF_CLUSTERS[mode], {}) for mode in UNEQUAL]
    for control in ("random", "unconditional"):
        plans += [
            (f"{control} {mode}", control, options, {})
            for mode, options in modes.items()
            if mode in CONTROLS
        ]
    draw_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    all_experts = np.ones((config.seeds, config.experts), bool)
    scores = _scorer(grid.modes, NEAR * config.deviation)

    def measure(plan: Plan) -> dict[str, Any]:
        name, arm, options, per_seed = plan
        progress(f"grid: sample {name}")
        wanted, classes = condition, grid.class_of_mode
        if arm == "unconditional":
            wanted, classes = np.zeros_like(condition), np.zeros_like(classes)
        x = sample(
            draw_keys,
            trained[arm],
            config.drawn,
            wanted,
            num_steps=config.sampling_steps,
            per_seed={"available": all_experts} | per_seed if trained[arm].num_experts > 1 else {},
            **options,
        )
        found = scores(x, wanted, grid.test, grid.test_mode, classes)
        return found | {"shown": x[0, : min(config.drawn, 1024)]}

    sharing: dict[Any, list[Plan]] = {}  # plans of one program, which one thread compiles
    for plan in plans:
        kind = (trained[plan[1]].program, plan[2].get("mode"), plan[2].get("k"))
        sharing.setdefault(kind, []).append(plan)
    with ThreadPoolExecutor(2) as pool:
        groups = pool.map(lambda own: {plan[0]: measure(plan) for plan in own}, sharing.values())
        measured = {name: found for group in groups for name, found in group.items()}
    return {plan[0]: measured[plan[0]] for plan in plans}


def _scorer(modes: np.ndarray, radius: float) -> Callable[..., dict[str, np.ndarray]]:
    """The measurements of samples of all seeds, see :func:`_sample_and_measure`."""

    def measure(
        x: jax.Array,
        condition: jax.Array,
        test: jax.Array,
        test_mode: jax.Array,
        class_of_mode: jax.Array,
    ) -> dict[str, jax.Array]:
        distance = jnp.linalg.norm(x[:, None] - jnp.asarray(modes)[None], axis=-1)
        distance = jnp.where(class_of_mode[None] == condition[:, None], distance, jnp.inf)
        drawn = jnp.bincount(jnp.argmin(distance, axis=1), length=len(modes)) / len(x)
        wanted = jnp.bincount(test_mode, length=len(modes)) / len(test)
        return {
            "precision": jnp.mean(jnp.min(distance, axis=1) <= radius),
            "energy": flow.energy_distance(x, test),
            "displaced": 0.5 * jnp.sum(jnp.abs(drawn - wanted)),
            "modes": drawn,
        }

    program = jax.jit(jax.vmap(measure))
    return lambda *arrays: jax.tree.map(np.asarray, program(*arrays))


def _for_figure(
    config: Config, grid: Grid, trained: dict[str, Arm], keys: jax.Array
) -> dict[str, np.ndarray]:
    """Test samples of the first seed and the unconditional router's map at three times.

    Returns:
        ``test [m, 2]``; ``cluster_of_mode [M]`` and ``modes [M, 2]``; ``map [T, C, C]``, the expert
        of the largest probability; ``certainty [T, C, C]``, that probability.
    """
    one: generative.Ensemble = jax.tree.map(lambda leaf: leaf[0], trained["unconditional"].ensemble)
    line = np.linspace(-2.6, 2.6, MAP_CELLS, dtype=np.float32)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    probabilities = jit_fast_compile(lambda own, t: own.weights(points, t, 0), level=0)
    weights = np.stack([np.asarray(probabilities(one, time)) for time in MAP_TIMES])
    shape = (len(MAP_TIMES), MAP_CELLS, MAP_CELLS)
    return {
        "test": grid.test[0, : min(config.drawn, 1024)],
        "modes": grid.modes,
        "cluster_of_mode": grid.cluster_of_mode[0],
        "map": weights.argmax(-1).reshape(shape),
        "certainty": weights.max(-1).reshape(shape),
    }
