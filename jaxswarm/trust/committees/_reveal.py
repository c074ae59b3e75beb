"""Outputs that members commit to before any is shown, so that none can be copied."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.trust import consensus
from jaxswarm.types import ArrayLike


def publish(request: bytes, node: int, output: ArrayLike) -> tuple[bytes, bytes]:
    """Commit to a member's output; see :func:`jaxswarm.trust.consensus.commit`.

    Args:
        request: identifies the request.
        node: of the member; the commitment opens in no other node's name.
        output: ``float[C]``, a probability distribution; NaN stays NaN.

    Returns:
        ``(commitment, packet)``: 32 bytes to publish at once, and bytes to send when all members'
        commitments are known.

    Raises:
        ValueError: for a request that is not ``bytes``, or another shape.

    Example:
        >>> commitment, packet = publish(b"request 1", 5, [0.9, 0.1])
        >>> outputs, revealed = collect(
        ...     b"request 1", [5, 6], [commitment, commitment], [packet, packet], num_classes=2
        ... )
        >>> revealed.tolist()  # node 6 copied what node 5 sent
        [True, False]
    """
    values = np.asarray(checks.numbers("output", output, (None,)), "<f4")
    commitment, opening = consensus.commit(values.tobytes(), context=_context(request, node))
    return commitment, opening.packet()


def collect(
    request: bytes,
    members: ArrayLike,
    commitments: Sequence[Any],
    packets: Sequence[Any],
    *,
    num_classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Open the commitments of a committee.

    Args:
        request: as of :func:`publish`.
        members: ``int[k]``, their nodes.
        commitments: what each published before; anything malformed opens nothing.
        packets: what each sent afterwards, ``None`` if nothing came.
        num_classes: ``C``.

    Returns:
        ``(outputs float32[k, C], revealed bool[k])`` for :func:`decide`; NaN where nothing valid
        came.

    Raises:
        ValueError: for numbers of members, commitments and packets that differ.
    """
    nodes = checks.wholes("members", members, shape=(None,))
    classes = checks.whole("num_classes", num_classes, 1)
    for name, given in (("commitments", commitments), ("packets", packets)):
        if len(given) != len(nodes):
            raise ValueError(
                f"{name}: expected {len(nodes)}, one for each member, got {len(given)}"
            )
    outputs = np.full((len(nodes), classes), np.nan, np.float32)
    revealed = np.zeros(len(nodes), bool)
    for place, node in enumerate(nodes):
        packet = packets[place]
        if consensus.reveal(commitments[place], packet, context=_context(request, int(node))):
            value = consensus.opened_value(packet)
            if isinstance(value, bytes) and len(value) == 4 * classes:
                outputs[place] = np.frombuffer(value, "<f4")
                revealed[place] = True
    return outputs, revealed


def _context(request: bytes, node: int) -> list[Any]:
    checks.instance("request", request, bytes, 'b"request 1"')
    return ["committee output", request, checks.whole("node", node)]
