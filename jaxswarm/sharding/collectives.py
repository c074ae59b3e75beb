"""Count the bytes that the collectives of a compiled program move between devices."""

import math
import re
from typing import Any

from jaxswarm import checks

_COLLECTIVE = re.compile(
    r"= (?P<shape>.+?) (?P<kind>all-gather|all-reduce|all-to-all|collective-broadcast"
    r"|collective-permute|ragged-all-to-all|reduce-scatter)(?P<start>-start)?\("
)
_ARRAY = re.compile(r"\b(?P<dtype>pred|bf16|[fsuc]\d+\w*)\[(?P<extents>[\d,]*)\]")


def moved_bytes(compiled: Any) -> dict[str, int]:
    """Count the bytes of every kind of collective, per device and run of the program's text.

    A collective inside a loop counts once, so give it the program of *one* round. Counted are the
    bytes that a device ends up with: for ``collective-permute`` what it receives, for
    ``all-gather`` all that is gathered.

    Args:
        compiled: ``jax.jit(f).lower(…).compile()``, or its text.

    Returns:
        ``{"collective-permute": bytes, …}``; kinds that do not occur are left out.

    Example:
        >>> moved_bytes("%x = f32[1,8]{1,0} collective-permute(%y), channel_id=1")
        {'collective-permute': 32}

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(compiled, str) and not hasattr(compiled, "as_text"):
        raise ValueError(
            "compiled: expected jax.jit(f).lower(…).compile() or its text, got "
            f"{checks.shown(compiled)}"
        )
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    moved: dict[str, int] = {}
    for found in _COLLECTIVE.finditer(text):
        arrays = _ARRAY.findall(found["shape"])
        if found["start"] and len(arrays) > 1:  # (what goes in …, what comes out …)
            arrays = [a for a in arrays if a != ("u32", "")]
            arrays = arrays[len(arrays) // 2 :]
        size = sum(_itemsize(d) * math.prod(int(e) for e in x.split(",") if e) for d, x in arrays)
        moved[found["kind"]] = moved.get(found["kind"], 0) + size
    return moved


def _itemsize(dtype: str) -> int:
    if dtype == "pred":
        return 1
    bits = re.search(r"\d+", dtype)
    assert bits is not None
    return max(1, int(bits.group()) // 8)
