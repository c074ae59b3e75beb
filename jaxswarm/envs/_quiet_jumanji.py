"""jumanji, imported so that a notebook keeps its way of showing figures.

Within IPython jumanji switches matplotlib to ``ipympl``, a package that it does not install:
without it the import fails, and with it no figure is inline any more. What it imports warns of
widgets that nobody asked for.
"""

import builtins
import warnings


def import_jumanji() -> None:
    """Import jumanji as if outside of IPython; the first import decides."""
    inside = getattr(builtins, "__IPYTHON__", None)
    if inside:
        setattr(builtins, "__IPYTHON__", False)  # noqa: B010
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")
            import jumanji  # noqa: F401
    finally:
        if inside:
            setattr(builtins, "__IPYTHON__", inside)  # noqa: B010


import_jumanji()
