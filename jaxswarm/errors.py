"""Error messages for bad input, worded the same in every package."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, options: Iterable[str]) -> ValueError:
    """Build the ``ValueError`` for an unknown name, with the closest known name as a suggestion.

    Args:
        kind: what the name should have named, such as ``"mixing weights"``.
        name: what came.
        options: the known names, for instance a dict of factories.

    Returns:
        A ``ValueError`` to be raised by the caller.

    Example:
        >>> raise unknown("optimizer", "adm", {"adam": 1, "sgd": 2})
        Traceback (most recent call last):
        ...
        ValueError: unknown optimizer 'adm', did you mean 'adam'? Known: 'adam', 'sgd'
    """
    known = sorted(options)
    close = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    hint = f", did you mean {close[0]!r}?" if close else ";"
    listing = ", ".join(repr(option) for option in known) or "none"
    return ValueError(f"unknown {kind} {name!r}{hint} {'Known' if close else 'known'}: {listing}")


class ReplayError(ValueError):
    """A replayed run asks for something that was not recorded, so it differs from that run."""
