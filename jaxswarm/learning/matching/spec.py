"""Permutation specs: which axes of a network's parameters run over which group of hidden units.

A hidden layer's units may be listed in any order, as long as all that is indexed by them follows:
the outputs of the layer that makes them, the normalisation's scale and statistics, the inputs of
the next layer. A *group* names such a set of units. Layers that write to one residual stream share
one group. A spec says, leaf by leaf and axis by axis, which group an axis runs over, if any.

Shapes: ``D`` units of a group; leaves of one agent, no agents' axis.

References:
    S. K. Ainsworth, J. Hayase, S. Srinivasa, Git Re-Basin: merging models modulo permutation
    symmetries, 2023 (axes of leaves named by groups).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks, errors
from jaxswarm.checks import is_traced
from jaxswarm.models import CNN, MLP
from jaxswarm.types import Key, Params, PyTree

Permutations = dict[str, jax.Array]
"""Group name to ``int32[D]``: entry ``p`` is the unit that moves to place ``p``."""


@dataclass(frozen=True)
class Flattened:
    """An axis of ``blocks · D`` entries: an image of ``blocks`` pixels, channels last, flattened.

    Attributes:
        group: of the ``D`` channels.
        blocks: pixels, at least 1.
    """

    group: str
    blocks: int


Axis = str | Flattened | None


@dataclass(frozen=True)
class PermutationSpec:
    """Axis groups of every leaf of a network's parameters.

    :func:`permutation_spec` makes the spec of ``models.mlp`` and ``models.cnn``; for a network of
    your own it is written by hand.

    Attributes:
        params: nested dicts like the parameters; in place of each array a tuple with one entry per
            axis: a group's name, a :class:`Flattened`, or ``None`` for an axis that stays as it is
            (inputs, classes, a kernel's height and width).
        stats: the same for normalisation statistics.

    Example:
        For ``flax.linen.Dense(32)`` and ``Dense(10)``:

        >>> from jaxswarm.learning.matching import PermutationSpec
        >>> spec = PermutationSpec(
        ...     {
        ...         "Dense_0": {"kernel": (None, "hidden"), "bias": ("hidden",)},
        ...         "Dense_1": {"kernel": ("hidden", None), "bias": (None,)},
        ...     }
        ... )
        >>> spec.groups
        ('hidden',)
    """

    params: PyTree
    stats: PyTree = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups, in the order of the parameters."""
        names = dict.fromkeys(
            group
            for tree in (self.params, self.stats)
            for _, axes in _entries(tree)
            for group in map(_group, axes)
            if group is not None
        )
        return tuple(names)


def sizes(spec: PermutationSpec, params: PyTree, stats: PyTree = None) -> dict[str, int]:
    """Sizes ``{group: D}`` of all groups, checking that the spec fits one agent's parameters.

    Args:
        spec: by hand or from :func:`permutation_spec`.
        params: one agent's, arrays or their shapes.
        stats: one agent's normalisation statistics, if the network has any.

    Raises:
        ValueError: naming the leaf: one that the spec does not cover or that the parameters lack, a
            wrong number of axes, an axis that is no multiple of its blocks, or a group whose size
            differs from leaf to leaf; or if there is no group at all.
    """
    checks.instance("spec", spec, PermutationSpec, "permutation_spec(module, params)")
    found: dict[str, tuple[int, str]] = {}
    for what, tree, shape in (("params", spec.params, params), ("stats", spec.stats, stats)):
        axes_of = dict(_entries(tree))
        leaves = {
            _name(path): jnp.shape(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path({} if shape is None else shape)
        }
        for name in leaves:
            if name not in axes_of:
                raise ValueError(f"spec: does not cover leaf {name} of {what}")
        for name, axes in axes_of.items():
            if name not in leaves:
                raise ValueError(f"spec: names leaf {name}, which {what} do not have")
            if len(axes) != len(leaves[name]):
                raise ValueError(
                    f"spec: leaf {name} has shape {leaves[name]}, expected one entry per axis, "
                    f"got {axes}"
                )
            for axis, extent in zip(axes, leaves[name], strict=True):
                _measure(found, name, axis, extent)
    if not found:
        raise ValueError("spec: expected at least one group of units, got none")
    return {group: size for group, (size, _) in found.items()}


def permutation_spec(module: nn.Module, params: Params, stats: PyTree = None) -> PermutationSpec:
    """Make the spec of a network made by ``models.mlp`` or ``models.cnn``, normalisation included.

    Args:
        module: the flax module.
        params: one agent's parameters, arrays or their shapes.
        stats: one agent's normalisation statistics, if it has any.

    Raises:
        ValueError: for another kind of module (write its spec by hand), one without hidden units,
            or group normalisation, under which units are not interchangeable.
    """
    if not isinstance(module, MLP | CNN):
        raise ValueError(
            "module: expected one of models.mlp or models.cnn, got "
            f"{type(module).__name__}; write its PermutationSpec by hand"
        )
    if module.norm == "group":
        raise ValueError(
            "module: norm='group' normalises units together with their neighbours, so they are "
            "not interchangeable; use 'batch', 'layer' or 'none'"
        )
    layers = hidden_layers(module)
    if not layers:
        raise ValueError("module: expected hidden units to permute, got a network without any")
    norm = NORM_MODULES.get(module.norm)
    _expect_layers(module, params)
    axes: dict[str, Any] = {}
    before: Axis = None
    for position, name in enumerate(layers):
        kernel = params[name]["kernel"]
        if name.startswith("Conv"):
            axes[name] = {"kernel": (None, None, before, name), "bias": (name,)}
        else:
            axes[name] = {"kernel": (_flattened(before, params, kernel), name), "bias": (name,)}
        if norm:
            axes[f"{norm}_{position}"] = {"scale": (name,), "bias": (name,)}
        before = name
    last = f"Dense_{sum(name.startswith('Dense') for name in layers)}"
    kernel = params[last]["kernel"]
    axes[last] = {"kernel": (_flattened(before, params, kernel), None), "bias": (None,)}
    statistics = {}
    if module.norm == "batch":
        statistics = {
            f"{norm}_{position}": {"mean": (name,), "var": (name,)}
            for position, name in enumerate(layers)
        }
    spec = PermutationSpec(axes, statistics)
    sizes(spec, params, statistics and stats)
    return spec


def _expect_layers(module: MLP | CNN, params: Params) -> None:
    """Refuse parameters that are not those of the module."""
    dense = len(module.widths) + (0 if isinstance(module, MLP) else 1)
    names = [*hidden_layers(module), f"Dense_{dense - 1}"]
    for name in names:
        layer = params.get(name) if isinstance(params, Mapping) else None
        if not isinstance(layer, Mapping) or "kernel" not in layer:
            found = sorted(params) if isinstance(params, Mapping) else checks.shown(params)
            raise ValueError(f"params: expected layers {names} of the module, got {found}")


NORM_MODULES = {"batch": "BatchNorm", "layer": "LayerNorm"}


def hidden_layers(module: MLP | CNN) -> tuple[str, ...]:
    """Names of the layers with hidden units in order, which are the names of their groups too."""
    if isinstance(module, MLP):
        return tuple(f"Dense_{i}" for i in range(len(module.widths) - 1))
    convolutions = tuple(f"Conv_{i}" for i in range(len(module.channels)))
    return convolutions + tuple(f"Dense_{i}" for i in range(len(module.widths)))


def permute(tree: PyTree, permutations: Permutations, axes: PyTree) -> PyTree:
    """Permute the units of each group in one agent's leaves.

    Args:
        tree: parameters or statistics of one agent.
        permutations: ``{group: int32[D]}``; groups that are missing are not permuted.
        axes: the spec of this tree, ``spec.params`` or ``spec.stats``.

    Raises:
        ValueError: naming a leaf that ``axes`` does not cover.
    """
    lookup = dict(_entries(axes))

    def moved(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        if _name(path) not in lookup:
            raise ValueError(f"axes: does not cover leaf {_name(path)} of the tree")
        return permute_leaf(leaf, lookup[_name(path)], permutations)

    return jax.tree_util.tree_map_with_path(moved, tree)


def permute_leaf(
    leaf: jax.Array, axes: tuple[Axis, ...], permutations: Permutations, skip: int | None = None
) -> jax.Array:
    """Permute the axes of one leaf, all but axis ``skip``."""
    for position, axis in enumerate(axes):
        group = _group(axis)
        if position == skip or group is None or group not in permutations:
            continue
        order = permutations[group]
        if isinstance(axis, Flattened):
            starts = jnp.arange(axis.blocks)[:, None] * order.shape[0]
            order = (starts + order[None, :]).reshape(-1)
        leaf = jnp.take(leaf, order, axis=position, mode="clip")
    return leaf


def invert(permutations: Permutations) -> Permutations:
    """Inverse permutations of all groups."""
    checks.instance("permutations", permutations, Mapping)
    return {name: jnp.argsort(order).astype(jnp.int32) for name, order in permutations.items()}


def identity(group_sizes: Mapping[str, int]) -> Permutations:
    """Identity permutations of all groups."""
    group_sizes = _checked_sizes(group_sizes)
    return {name: jnp.arange(size, dtype=jnp.int32) for name, size in group_sizes.items()}


def random_permutations(key: Key, group_sizes: Mapping[str, int]) -> Permutations:
    """Draw independent uniform permutations of all groups."""
    checks.key(key)
    group_sizes = _checked_sizes(group_sizes)
    keys = agents.keys(key, len(group_sizes))
    return {
        name: jax.random.permutation(own_key, size).astype(jnp.int32)
        for own_key, (name, size) in zip(keys, group_sizes.items(), strict=True)
    }


def check_permutations(permutations: Permutations, group_sizes: Mapping[str, int]) -> None:
    """Refuse what is not one bijection per group; traced arrays are checked for shape only.

    Raises:
        ValueError: naming the group.
    """
    checks.instance("permutations", permutations, Mapping)
    group_sizes = _checked_sizes(group_sizes)
    for name in permutations:
        if name not in group_sizes:
            raise errors.unknown("group of permutations", name, group_sizes)
        order, size = permutations[name], group_sizes[name]
        if jnp.shape(order) != (size,):
            raise ValueError(
                f"permutations: group {name!r} has {size} units, got shape {jnp.shape(order)}"
            )
        if not jnp.issubdtype(jnp.result_type(order), jnp.integer):
            raise ValueError(
                f"permutations: group {name!r}: expected integers, got {jnp.result_type(order)}"
            )
        if not is_traced(order) and sorted(np.asarray(order).tolist()) != list(range(size)):
            raise ValueError(f"permutations: group {name!r}: every unit must occur exactly once")


def _checked_sizes(group_sizes: Mapping[str, int]) -> dict[str, int]:
    checks.instance("group_sizes", group_sizes, Mapping)
    return {name: checks.whole(f"group_sizes[{name!r}]", n, 1) for name, n in group_sizes.items()}


def by_unit(leaf: jax.Array, axes: tuple[Axis, ...], position: int) -> jax.Array:
    """Reshape a leaf to ``[D, rest]``, one row per unit of one of its axes."""
    axis = axes[position]
    moved = jnp.moveaxis(leaf, position, 0)
    if isinstance(axis, Flattened):
        moved = moved.reshape(axis.blocks, -1, *moved.shape[1:])
        moved = jnp.moveaxis(moved, 1, 0)
    return moved.reshape(moved.shape[0], -1)


def axes_over(axes: PyTree, group: str) -> Iterator[tuple[str, tuple[Axis, ...], int]]:
    """Iterate over the leaves with an axis over ``group``: name, entries and that axis."""
    for name, entries in _entries(axes):
        for position, axis in enumerate(entries):
            if _group(axis) == group:
                yield name, entries, position


def _entries(tree: PyTree) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda x: isinstance(x, tuple))
    for path, axes in leaves:
        good = isinstance(axes, tuple) and all(
            axis is None or isinstance(axis, str | Flattened) for axis in axes
        )
        if not good:
            raise ValueError(
                f"spec: leaf {_name(path)}: expected a tuple of group names, Flattened and None, "
                f"got {axes!r}"
            )
        yield _name(path), axes


def _measure(found: dict[str, tuple[int, str]], name: str, axis: Axis, extent: int) -> None:
    group = _group(axis)
    if group is None:
        return
    if isinstance(axis, Flattened):
        if axis.blocks < 1 or extent % axis.blocks:
            raise ValueError(
                f"spec: leaf {name}: an axis of {extent} is not {axis.blocks} blocks of {group!r}"
            )
        extent //= axis.blocks
    size, first = found.setdefault(group, (extent, name))
    if size != extent:
        raise ValueError(
            f"spec: group {group!r} has {size} units in leaf {first}, but {extent} in leaf {name}"
        )


def _group(axis: Axis) -> str | None:
    return axis.group if isinstance(axis, Flattened) else axis


def _flattened(before: Axis, params: PyTree, kernel: Any) -> Axis:
    """Input axis of a dense layer; after a convolution it runs over a whole image."""
    if not isinstance(before, str) or not before.startswith("Conv"):
        return before
    channels = jnp.shape(params[before]["kernel"])[-1]
    return Flattened(before, jnp.shape(kernel)[0] // channels)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path)
