"""Import of jumanji without its side effects on matplotlib in notebooks.

Within IPython jumanji switches matplotlib to ``ipympl``, a package that it does not install:
without it the import fails, and with it figures are no longer shown inline. Its dependencies also
warn about missing notebook widgets.
"""

import builtins
import warnings


def import_jumanji() -> None:
    """Import jumanji as if outside of IPython; only the first import of jumanji matters."""
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
