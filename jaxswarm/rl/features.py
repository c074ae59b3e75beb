"""Observations as features of networks, and action masks as a part of them.

An observation is a pytree whose leaves lead with the agents. Networks get its leaves as one vector
per agent; :func:`feature_slices` says where each leaf is, so that nothing depends on the order in
which a pytree is flattened.

A leaf called ``action_mask`` (jumanji's name) tells which discrete actions are legal. It stays a
part of the features, where networks read it: their outputs for illegal actions are
``ILLEGAL``, so that these are neither sampled nor chosen, when acting, in an update and in an
evaluation alike.

Shapes: ``N`` agents, ``F`` features, ``A`` actions.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.types import PyTree

ACTION_MASK = "action_mask"
"""Name of the leaf of an observation that marks legal actions, ``bool[N, A]``."""
ILLEGAL = -1e9
"""Output of a network for an illegal action; finite, so that gradients are."""


def features_of(observation: PyTree) -> jax.Array:
    """Flatten an observation to ``float32[N, F]``: all its leaves but the ``agent_mask``.

    Features of absent agents are 0, so that what is observed of them has no influence.

    Raises:
        ValueError: if ``observation`` is not a NamedTuple whose leaves lead with the agents.
    """
    fields = _fields(observation)
    agents.num_agents(fields)
    leaves = [jnp.asarray(leaf, jnp.float32) for leaf in jax.tree.leaves(fields)]
    features = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)
    mask = getattr(observation, "agent_mask", None)
    if mask is None:
        return features
    return jnp.where(jnp.asarray(mask)[:, None], features, 0.0)


def feature_slices(observation: PyTree) -> dict[str, slice]:
    """Where :func:`features_of` puts each leaf of an observation.

    Args:
        observation: a NamedTuple of arrays, or of their shapes.

    Returns:
        Name of a leaf (``"view.position"`` for a nested one) -> its part of the features.

    Raises:
        ValueError: if ``observation`` is not a NamedTuple.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> _, timestep = envs.SimpleSpread(3).reset(jax.random.key(0))
        >>> rl.feature_slices(timestep.observation)["position"]
        slice(10, 12, None)
    """
    slices, begin = {}, 0
    for path, leaf in jax.tree.leaves_with_path(_fields(observation)):
        end = begin + math.prod(jnp.shape(leaf)[1:])
        slices[".".join(_name(entry) for entry in path)] = slice(begin, end)
        begin = end
    return slices


def action_mask_slice(observation: PyTree, num_options: tuple[int, ...]) -> slice | None:
    """The part of the features that marks legal actions; ``None`` without an ``action_mask``.

    Args:
        observation: a NamedTuple of arrays, or of their shapes.
        num_options: number of options of each discrete choice of an agent; empty for continuous
            actions, which have no mask.

    Raises:
        ValueError: for a mask of another number of actions.
    """
    slices = feature_slices(observation)
    found = [part for name, part in slices.items() if name.split(".")[-1] == ACTION_MASK]
    if not found or not num_options:
        return None
    size = found[0].stop - found[0].start
    if len(found) > 1 or size != sum(num_options):
        raise ValueError(
            f"observation.{ACTION_MASK}: expected one flag for each of {sum(num_options)} actions, "
            f"got {[part.stop - part.start for part in found]}; mask_actions=False ignores it"
        )
    return found[0]


def only_legal(outputs: jax.Array, legal: jax.Array, num_options: tuple[int, ...]) -> jax.Array:
    """Replace outputs of illegal actions by ``ILLEGAL``.

    A choice without any legal option, as of absent agents, keeps its outputs.

    Args:
        outputs: ``[…, O]`` or ``[…, O, m]``, logits or values of all options of all choices.
        legal: ``[…, O]``, true or above 0 for legal ones.
        num_options: number of options of each choice; their sum is ``O``.
    """
    flags = jnp.split(legal > 0, np.cumsum(num_options)[:-1].tolist(), axis=-1)
    any_legal = [jnp.any(flag, axis=-1, keepdims=True) for flag in flags]
    kept = [flag | ~some for flag, some in zip(flags, any_legal, strict=True)]
    mask = jnp.concatenate(kept, axis=-1)
    mask = mask.reshape(*mask.shape, *(1 for _ in outputs.shape[mask.ndim :]))
    return jnp.where(mask, outputs, ILLEGAL)


def _fields(observation: Any) -> dict[str, Any]:
    """The fields of an observation but its ``agent_mask``.

    Raises:
        ValueError: if it is not a NamedTuple.
    """
    if not hasattr(observation, "_asdict"):
        raise ValueError(f"observation: expected a NamedTuple, got {checks.shown(observation)}")
    return {k: v for k, v in observation._asdict().items() if k != "agent_mask"}


def _name(entry: Any) -> str:
    """Name of one entry of a path through a pytree."""
    for kind in ("key", "name", "idx"):
        if hasattr(entry, kind):
            return str(getattr(entry, kind))
    return str(entry)
