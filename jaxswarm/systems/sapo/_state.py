"""What a round of SAPO takes, keeps and measures, and the checks of its arguments.

Shapes: ``N`` agents, ``Q`` questions of each in a round, ``G`` responses to each, ``A = max_age +
1`` rounds of packets.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import verifiable
from jaxswarm.gossip import Traffic
from jaxswarm.systems.sapo._packets import Packets
from jaxswarm.types import ArrayLike, Key, Params, PyTree

RATIO_MODES = ("self", "behaviour")
"""Denominators of the ratio of probabilities: the learner's own policy, or the sender's."""


class Round(NamedTuple):
    """What happens in a round.

    Attributes:
        problems: questions of each agent, leaves ``[N, Q, ...]``.
        active: ``bool[N]``, agents that take part, all if ``None``. The others neither sample,
            send nor learn, and keep parameters and optimizer state to the bit.
        sharing: ``bool[N]``, agents that send their packets, all if ``None``.
        forging: ``bool[N]``, agents whose packets go through ``forge``, none if ``None``.
    """

    problems: verifiable.Problems
    active: Any = None
    sharing: Any = None
    forging: Any = None


class SAPOState(NamedTuple):
    """State of :func:`sapo`.

    Attributes:
        params: leaves ``[N, ...]``.
        opt_state: the optimizers' states, leaves ``[N, ...]``.
        packets: of the last ``max_age`` rounds, newest first, leaves ``[max_age, N, Q, ...]``;
            ``None`` if ``max_age`` is 0.
        present: ``bool[max_age, N]``, packets that were sent; ``None`` if ``max_age`` is 0.
    """

    params: Params
    opt_state: PyTree
    packets: Packets | None
    present: jax.Array | None


class SAPOInfo(NamedTuple):
    """Measurements of one round of :func:`sapo`, ``float32[N]``; 0 for absent agents.

    Attributes:
        reward: mean over all of an agent's own responses, before the update.
        live: share of its own groups whose rewards differ.
        external: external groups in its update.
        missing: groups of its update that are padding, since too few qualified.
        age: mean age in rounds of its external groups.
        loss: of the update.
        clip_fraction: share of tokens outside the clip range.
        grad_norm: of the update.
        traffic: messages and bytes that each agent sent.
    """

    reward: jax.Array
    live: jax.Array
    external: jax.Array
    missing: jax.Array
    age: jax.Array
    loss: jax.Array
    clip_fraction: jax.Array
    grad_norm: jax.Array
    traffic: Traffic


class SAPO(NamedTuple):
    """The learner of :func:`sapo`: an ``Algorithm`` whose round can also be run in its two parts.

    Attributes:
        init: ``init(params, problems=None) -> SAPOState`` for leaves ``[N, ...]``. With ``max_age >
            0`` it needs questions ``[N, Q, ...]`` for the sizes of the buffer.
        step: ``step(key, state, inputs) -> (SAPOState, SAPOInfo)``; ``inputs`` is a :class:`Round`
            or its problems.
        sample: ``sample(key, state, problems, first=0) -> (rewards [N, Q, G], Packets)``.
        update: ``update(key, state, own, rewards, pool, present, active=None, first=0) ->
            (SAPOState, SAPOInfo)`` with packets ``pool`` of leaves ``[A, M, Q', ...]`` of all
            ``M`` agents and ``present: bool[A, M]``; the learner's agents are ``first``, … of
            them. ``info.traffic`` is 0.
    """

    init: Callable[..., SAPOState]
    step: Callable[[Key, SAPOState, Any], tuple[SAPOState, SAPOInfo]]
    sample: Callable[..., tuple[jax.Array, Packets]]
    update: Callable[..., tuple[SAPOState, SAPOInfo]]

    @property
    def algorithm(self) -> Algorithm:
        """The pair ``(init, step)``."""
        return Algorithm(self.init, self.step)


def check_num_groups(local: ArrayLike, external: ArrayLike, num_groups: int | None) -> int:
    """Number of slots of an update; ``I`` and ``J`` are checked unless they are traced."""
    known = [
        (name, None if checks.is_traced(value) else checks.whole(name, value))
        for name, value in (("local", local), ("external", external))
    ]
    total = sum(value or 0 for _, value in known)
    if not total and all(value is not None for _, value in known):
        raise ValueError("local, external: expected at least one group in an update, got 0 + 0")
    if num_groups is None:
        for name, value in known:
            if value is None:
                raise ValueError(f"num_groups: expected a number, since {name} is traced, got None")
        num_groups = total
    num_groups = checks.whole("num_groups", num_groups, 1)
    if total > num_groups:
        raise ValueError(
            f"num_groups: expected at least local + external = {total}, got {num_groups}"
        )
    return num_groups


def check_problems(problems: Any, n: int, local: ArrayLike) -> None:
    """Check questions ``[N, Q, …]``, of which an update takes ``local``."""
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    agents.check_leading_axis(problems, n, "problems")
    shape = jnp.shape(problems.prompts)
    if len(shape) != 3:
        raise ValueError(f"problems: expected prompts [{n}, Q, P], got shape {list(shape)}")
    if not checks.is_traced(local) and int(local) > shape[1]:  # pyright: ignore
        raise ValueError(f"problems: expected at least local={local} questions, got {shape[1]}")


def check_masks(inputs: Round, n: int, alone: bool, forges: bool) -> tuple[Any, Any, Any]:
    """Checked ``active``, who sends (all true if both are ``None``), and ``forging``."""
    given = {name: getattr(inputs, name) for name in ("active", "sharing", "forging")}
    masks = {
        name: None if value is None else jnp.asarray(checks.mask(name, value, (n,)))
        for name, value in given.items()
    }
    if masks["forging"] is not None and not forges:
        raise ValueError("forging: expected None without a function forge, got a mask")
    sharing = masks["sharing"]
    if sharing is not None and not alone and not checks.is_traced(sharing) and not sharing.any():
        raise ValueError("sharing: expected at least one agent that shares, got none")
    present = jnp.ones(n, bool)
    for mask in (masks["active"], sharing):
        present = present if mask is None else present & mask
    return masks["active"], present, masks["forging"]
