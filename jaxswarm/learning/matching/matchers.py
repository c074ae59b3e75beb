"""Matchers: permutations of a neighbour's hidden units that align them with the own ones.

Shapes: ``K`` neighbours, ``D`` units of a group, ``B`` samples of a batch.

References:
    N. Saadati et al., DIMAT: decentralized iterative merging-and-training for deep learning models,
    2024 (activations). S. K. Ainsworth, J. Hayase, S. Srinivasa, Git Re-Basin: merging models
    modulo permutation symmetries, 2023 (weights).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.learning.matching.activations import Features, Moments
from jaxswarm.learning.matching.assignment import assign
from jaxswarm.learning.matching.spec import (
    Permutations,
    PermutationSpec,
    axes_over,
    by_unit,
    permute_leaf,
    sizes,
)
from jaxswarm.types import Params, PyTree


class Matcher(NamedTuple):
    """A rule that aligns neighbours' networks with an agent's own.

    Attributes:
        match: ``match(spec, own, others, x) -> {group: int32[K, D]}``; leaves of ``own`` are one
            agent's, of ``others`` ``[K, ...]``; ``x: [num_batches, B, ...]`` or ``None``. Entry
            ``p`` is the neighbour's unit that moves to the own unit ``p``'s place.
        needs_data: whether ``x`` is used.
    """

    match: Callable[[PermutationSpec, Params, Params, Any], Permutations]
    needs_data: bool


def activation_matching(
    features: Features, *, recalibrate: Callable[[PyTree, jax.Array], PyTree] | None = None
) -> Matcher:
    """Activation matching: pair units by the correlation of their activations on the same inputs.

    The correlation of every own unit with every unit of a neighbour is accumulated over the
    batches, and an exact assignment takes the pairs of greatest total correlation, group by group.

    Args:
        features: activations of the units, for instance ``features_of(module)``.
        recalibrate: ``Model.recalibrate``, for networks with normalisation statistics: they are
            recomputed on the matching data before units are compared.

    Raises:
        ValueError: if an argument is no function.
    """
    checks.function("features", features)
    if recalibrate is not None:
        checks.function("recalibrate", recalibrate)

    def match(spec: PermutationSpec, own: Params, others: Params, x: Any) -> Permutations:
        groups = sizes(spec, *jax.eval_shape(lambda p: (p, statistics(p, x)), own))
        own_stats = statistics(own, x)
        other_stats = jax.vmap(lambda params: statistics(params, x))(others)
        k = agents.num_agents(others)

        def add(moments: dict[str, Moments], batch: jax.Array) -> tuple[dict[str, Moments], None]:
            x = _checked(features(own, own_stats, batch), groups)
            y = jax.vmap(lambda p, s: features(p, s, batch))(others, other_stats)
            return {
                group: jax.vmap(Moments.add, (0, None, 0))(moments[group], x[group], y[group])
                for group in groups
            }, None

        empty = {group: agents.broadcast(Moments.empty(size), k) for group, size in groups.items()}
        moments, _ = jax.lax.scan(add, empty, x)
        return {
            group: jax.vmap(lambda m: assign(m.correlation(), maximize=True))(moments[group])
            for group in groups
        }

    def statistics(params: Params, x: Any) -> PyTree:
        return {} if recalibrate is None else recalibrate(params, x)

    return Matcher(match, True)


def weight_matching(*, sweeps: int = 1) -> Matcher:
    """Weight matching: pair units by the inner product of their weights, without data.

    Greedy and sequential: each group in turn is assigned to maximise the inner product of all
    weights with an axis over it, with every other group as matched so far.

    Args:
        sweeps: passes over all groups, at least 1.

    Raises:
        ValueError: if ``sweeps < 1``.
    """
    sweeps = checks.whole("sweeps", sweeps, 1)

    def match(spec: PermutationSpec, own: Params, others: Params, x: Any) -> Permutations:
        del x
        groups = sizes(PermutationSpec(spec.params), own)
        own_leaves = _by_name(own)

        def match_one(other: Params) -> Permutations:
            leaves = _by_name(other)

            def sweep(_: Any, found: Permutations) -> Permutations:
                found = dict(found)
                for group, size in groups.items():
                    score = jnp.zeros((size, size))
                    for name, axes, position in axes_over(spec.params, group):
                        moved = permute_leaf(leaves[name], axes, found, skip=position)
                        score += by_unit(own_leaves[name], axes, position) @ (
                            by_unit(moved, axes, position).T
                        )
                    found[group] = assign(score, maximize=True)
                return found

            start = {name: jnp.arange(size, dtype=jnp.int32) for name, size in groups.items()}
            return jax.lax.fori_loop(0, sweeps, sweep, start)

        return jax.vmap(match_one)(others)

    return Matcher(match, False)


def no_matching() -> Matcher:
    """The identity matcher, a baseline: plain weight averaging by the same code."""

    def match(spec: PermutationSpec, own: Params, others: Params, x: Any) -> Permutations:
        del x
        k = agents.num_agents(others)
        return {
            group: jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32), (k, size))
            for group, size in sizes(PermutationSpec(spec.params), own).items()
        }

    return Matcher(match, False)


def _checked(found: dict[str, jax.Array], groups: dict[str, int]) -> dict[str, jax.Array]:
    for group, size in groups.items():
        if group not in found:
            raise ValueError(
                f"features: expected activations of group {group!r}, got those of {sorted(found)}"
            )
        if found[group].shape[-1] != size:
            raise ValueError(
                f"features: group {group!r} has {size} units in the spec, got activations of "
                f"shape {found[group].shape}"
            )
    return found


def _by_name(params: Params) -> dict[str, jax.Array]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
