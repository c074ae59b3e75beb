"""Runs of the MetaInf experiment: selectors on simulated cells, or on measured ones.

Simulated: each seed is a world of eight devices, five models and workloads, with hidden
efficiencies that no feature shows. Each device is left out in turn; all selectors learn from the
other seven and see the same meta-features (gradient boosting with identities excepted). Nodes with
own histories are the seven devices. Measured: see :mod:`experiments.meta_inf.measured`.

Shapes: ``S`` seeds, ``C`` cells, ``M`` methods.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.meta_inf import measured
from experiments.meta_inf.config import Config
from jaxswarm import gossip, topology
from jaxswarm.systems import meta_inf

METAINF = "MetaInf"
STATIC = "static best"
IDENTITIES = "gradient boosting, identities"
CLASSICAL = (
    "random", STATIC, "nearest neighbours", "ISAC", "ALORS", "random forest",
    "gradient boosting", IDENTITIES, "oracle",
)  # fmt: skip


def training_of(config: Config, **changes: Any) -> meta_inf.Training:
    """Numbers of the ensemble's training."""
    return meta_inf.Training(
        members=config.members, steps=config.steps, batch=config.batch
    )._replace(**changes)


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all selectors.

    Returns:
        Of the simulated layer: ``seconds [S, C, M]``, ``index [C, 3]``, ``batch``, ``share`` and
        ``rate`` ``[S, C]`` of the workloads, ``chosen`` with ``[S, C]`` for each selector,
        ``budget`` with the outcome of choices within budgets. Otherwise see
        :func:`experiments.meta_inf.measured.run`.
    """
    if config.layer == "measured":
        return measured.run(config, progress)
    progress("simulated cells")
    tables = [draw(config, config.seed + s) for s in range(config.seeds)]
    given = [meta_inf.features(cells) for cells in tables]
    chosen: dict[str, np.ndarray] = {}
    for name in CLASSICAL:
        progress(name)
        rows = []
        for s, (cells, x) in enumerate(zip(tables, given, strict=True)):
            scores = meta_inf.held_out_scores(meta_inf.SELECTORS[name], cells, x, seed=s)
            rows.append(scores.argmin(axis=1))
        chosen[name] = np.stack(rows)
    key = jax.random.key(config.seed)
    ensembles = training_of(config)
    single = ensembles._replace(members=1)
    progress(METAINF)
    members = held_out(jax.random.fold_in(key, 0), tables, given, ensembles)
    logs = members.mean(axis=0)
    chosen[METAINF] = logs.argmin(axis=2)
    progress("shuffled features")
    rng = np.random.default_rng(config.seed)
    mixed = [x.rows(rng.permutation(len(x.values))) for x in given]
    shuffled = held_out(jax.random.fold_in(key, 1), tables, mixed, single)
    chosen["shuffled features"] = shuffled[0].argmin(axis=2)
    for number, axis in enumerate(("model", "task")):
        progress(f"{axis}s left out")
        scores = held_out(jax.random.fold_in(key, 2 + number), tables, given, single, axis)
        chosen[f"{METAINF}, {axis} left out"] = scores[0].argmin(axis=2)
        chosen[f"{STATIC}, {axis} left out"] = np.stack([_static(c, axis) for c in tables])
    progress("budgets")
    budget = _budgets(jax.random.fold_in(key, 4), config, tables, given, logs)
    progress("nodes with own histories")
    chosen_by_nodes = _nodes(jax.random.fold_in(key, 5), config, tables, given)
    chosen_by_nodes["pooled"] = _by_device(members[0], tables[0]).argmin(axis=-1)[:, :, None]
    workloads = [[cells.workloads[i] for i in cells.index[:, 2]] for cells in tables]
    return {
        "seconds": np.stack([cells.seconds for cells in tables]),
        "index": tables[0].index,
        "methods": np.array(tables[0].methods),
        "batch": np.array([[w.batch for w in row] for row in workloads]),
        "share": np.array([[w.prefix_share for w in row] for row in workloads]),
        "rate": np.array([[w.rate for w in row] for row in workloads]),
        "chosen": {name.replace("/", " "): rows for name, rows in chosen.items()},
        "nodes": chosen_by_nodes,
        "budget": budget,
    }


def draw(config: Config, seed: int) -> meta_inf.Cells:
    """The simulated cells of one world, with the noise of a measurement."""
    world = meta_inf.draw_world(seed, num_workloads=config.workloads, requests=config.requests)
    cells = meta_inf.simulate_cells(
        world.devices, world.models, world.workloads, world.efficiencies, meta_inf.PORTFOLIO
    )
    noise = np.random.default_rng(seed).normal(size=cells.seconds.shape)
    return meta_inf.Cells(
        cells.devices, cells.models, cells.workloads, cells.methods, cells.index,
        cells.seconds * np.exp(config.noise * noise), cells.source,
    )  # fmt: skip


def _stacked(
    tables: list[meta_inf.Cells], given: list[meta_inf.Features]
) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[S, C, F]`` and logarithms ``[S, C, M]`` of seconds relative to nominal ones."""
    x = np.stack([each.values for each in given])
    logs = [np.log(cells.seconds) - meta_inf.log_nominal(cells)[:, None] for cells in tables]
    return x, np.stack(logs).astype(np.float32)


Splits = list[tuple[np.ndarray, np.ndarray]]


def _splits(cells: meta_inf.Cells, axis: str) -> Splits:
    """Masks of training and test cells; ``"task"`` leaves out all workloads of one kind."""
    if axis != "task":
        return list(meta_inf.leave_one_out(cells, axis))
    kinds = np.array([w.description.split(";")[0] for w in cells.workloads])[cells.index[:, 2]]
    return [(kinds != kind, kinds == kind) for kind in dict.fromkeys(kinds)]


def _static(cells: meta_inf.Cells, axis: str) -> np.ndarray:
    """Choices ``[C]`` of the static best, members of an axis left out."""
    chosen = np.zeros(len(cells), int)
    given = meta_inf.features(cells)
    for train, test in _splits(cells, axis):
        fit = meta_inf.SELECTORS[STATIC](cells.rows(train), given.rows(train), 0)
        chosen[test] = fit(cells.rows(test), given.rows(test)).argmin(axis=1)
    return chosen


def held_out(
    key: jax.Array,
    tables: list[meta_inf.Cells],
    given: list[meta_inf.Features],
    training: meta_inf.Training,
    axis: str = "device",
) -> np.ndarray:
    """Predicted logarithms of seconds ``[E, S, C, M]`` by each network, members left out."""
    x, y = _stacked(tables, given)
    splits = _splits(tables[0], axis)  # the same cells in each seed
    found = _fit(key, x, y, splits, training)
    scores = np.zeros((training.members, *y.shape))
    for (_, test), part in zip(splits, found, strict=True):
        scores[:, :, test] = part
    return scores + np.stack([meta_inf.log_nominal(cells) for cells in tables])[..., None]


def _by_device(rows: np.ndarray, cells: meta_inf.Cells) -> np.ndarray:
    """Rows ``[S, C, ...]`` as ``[S, D, c, ...]``."""
    device = cells.index[:, 0]
    own = [np.flatnonzero(device == d) for d in range(int(device.max()) + 1)]
    return rows[:, np.array(own)]


FITS = 8
"""Training sets of each seed that are fitted by one call of the program."""


def _fit(
    key: jax.Array, x: np.ndarray, y: np.ndarray, splits: Splits, training: meta_inf.Training
) -> list[np.ndarray]:
    """Predictions ``[E, S, D, M]`` for the second mask of each split, trained on the first.

    One program of one size serves all: sets are filled up with random cells of their own, members
    of an ensemble are fitted one after another.
    """
    size = x.shape[1]
    rng = np.random.default_rng(0)
    index = [[_filled(rng, np.flatnonzero(mask), size) for mask in split] for split in splits]
    index += [index[0]] * (-len(splits) % FITS)
    found: list[np.ndarray] = []
    for start in range(0, len(index), FITS):
        train, test = (np.array([pair[i] for pair in index[start : start + FITS]]) for i in (0, 1))
        parts = [_flat(part) for part in (x[:, train], y[:, train], x[:, test])]
        members = []
        for member in range(training.members):
            member_key = jax.random.fold_in(jax.random.fold_in(key, start), member)
            keys = jax.random.split(member_key, len(x) * FITS)
            program = _program(training._replace(members=1))
            members.append(np.asarray(program(keys, *parts)))
        shape = (training.members, len(x), FITS, size, y.shape[-1])
        found += list(np.moveaxis(np.stack(members).reshape(shape), 2, 0))
    return [part[:, :, : int(test.sum())] for part, (_, test) in zip(found, splits, strict=False)]


def _filled(rng: np.random.Generator, rows: np.ndarray, size: int) -> np.ndarray:
    return np.append(rows, rng.choice(rows, size - len(rows)))


@functools.cache
def _program(training: meta_inf.Training) -> Any:
    return jit_fast_compile(
        functools.partial(meta_inf.fit_and_predict, training=training),
        plain=True,
        level=_level(training),
    )


def _level(training: meta_inf.Training) -> int:
    return 2 if training.steps > 50 else 0  # a few steps are over before they are optimized


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *x.shape[2:])


def _budgets(
    key: jax.Array,
    config: Config,
    tables: list[meta_inf.Cells],
    given: list[meta_inf.Features],
    logs: np.ndarray,
) -> dict[str, np.ndarray]:
    """Choices within budgets, with and without a margin.

    The margin of a left-out device is the largest underestimate on any of the other seven, each
    predicted by networks that were trained without both: it never sees the device. Cells with
    arrivals and without have margins of their own. Budgets lie between .7 times the cheapest
    method's cost and 1.3 times the dearest's, evenly on a logarithmic scale.

    Returns:
        ``feasible``, ``answered``, ``violated`` and, without margin, ``violated plainly``, each
        ``bool[S, C]``; ``margin [S, C]``.
    """
    x, y = _stacked(tables, given)
    device = tables[0].index[:, 0]
    count = int(device.max()) + 1
    pairs = list(itertools.combinations(range(count), 2))
    splits = [(~np.isin(device, pair), np.isin(device, pair)) for pair in pairs]
    found = _fit(key, x, y, splits, training_of(config, members=1))
    under = np.full((count, *y.shape[:2]), -np.inf)  # [device left out as well, S, C]
    for pair, (_, test), part in zip(pairs, splits, found, strict=True):
        error = (y[:, test] - part[0]).max(axis=2)
        for out, other in (pair, pair[::-1]):
            under[out][:, device == other] = error[:, device[test] == other]
    online = np.array([[cells.workloads[i].rate > 0 for i in cells.index[:, 2]]
                       for cells in tables])  # fmt: skip
    margins = np.zeros(online.shape)
    for regime in (False, True):
        largest = np.where(online == regime, under, -np.inf).max(axis=2).T  # [S, D]
        margins = np.where(online == regime, largest[:, device], margins)
    margins = np.maximum(margins, 0.0)
    cost = np.stack([cells.cost for cells in tables])
    uniform = np.random.default_rng(config.seed).random(cost.shape[:2])
    low, high = np.log(0.7 * cost.min(axis=2)), np.log(1.3 * cost.max(axis=2))
    budget = np.exp(low + uniform * (high - low))
    result = {"feasible": cost.min(axis=2) <= budget, "margin": margins}
    for name, margin in (("", margins), (" plainly", np.zeros(budget.shape))):
        answered, violated = np.zeros(budget.shape, bool), np.zeros(budget.shape, bool)
        for s, cells in enumerate(tables):
            scores = meta_inf.within_budget(cells, logs[s], budget[s], margin[s])
            chosen = meta_inf.quality(cells, scores).chosen
            answered[s] = chosen >= 0
            paid = cost[s, np.arange(len(chosen)), chosen]
            violated[s] = answered[s] & (paid > budget[s])
        result |= {f"answered{name}": answered, f"violated{name}": violated}
    return result


def _nodes(
    key: jax.Array, config: Config, tables: list[meta_inf.Cells], given: list[meta_inf.Features]
) -> dict[str, np.ndarray]:
    """Choices for each left-out device by networks of the other devices, ``[S, D, N, c]``.

    Local networks see as many cells of their own history in a step as the pooled one of all, nodes
    that gossip a share each: local has the larger budget. Gossip averages the parameters with both
    neighbours on a ring after each step.
    """
    x, y = _stacked(tables, given)
    device = tables[0].index[:, 0]
    count = int(device.max()) + 1
    everything = np.full(len(device), True)
    splits = [(device == d, everything) for d in range(count)]
    local_key, gossip_key = jax.random.split(key)
    found = _fit(local_key, x, y, splits, training_of(config, members=1))
    by_node = np.stack([part[0].argmin(axis=-1) for part in found], axis=-1)  # [S, C, D]
    others = np.array([[d for d in range(count) if d != out] for out in range(count)])
    alone = _by_device(by_node, tables[0])  # [S, D, c, D]
    local = np.stack([alone[:, d][..., others[d]] for d in range(count)], axis=1)

    own = np.array([np.flatnonzero(device == d) for d in range(count)])
    histories = own[others]  # [D, N, c]
    nodes = count - 1
    share = training_of(config, members=1, batch=max(config.batch // nodes, 1))
    rule = gossip.averaging(gossip.mixing(topology.ring(nodes)))
    keys = jax.random.split(gossip_key, len(x) * count)
    xs, ys, new = (_flat(part) for part in (x[:, histories], y[:, histories], x[:, own]))

    def by_gossip(key: jax.Array, x: jax.Array, y: jax.Array, new: jax.Array) -> jax.Array:
        return meta_inf.predict(meta_inf.fit_gossip(key, x, y, share, rule), new)

    program = jit_fast_compile(jax.vmap(by_gossip), plain=True, level=_level(share))
    picked = np.asarray(program(keys, xs, ys, new)).argmin(axis=-1)  # [S D, N, c]
    return {
        "gossip": picked.reshape(len(x), count, *picked.shape[1:]),
        "local": local.swapaxes(2, 3),
    }
