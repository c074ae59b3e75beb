"""Write the pages that are made from the source: API reference, gallery, pictures, documents.

``DOCS_GENERATE=gallery,documents make docs`` writes only some of them, for quick builds.
"""

import importlib
import os

GENERATORS = ("api", "gallery", "documents", "pictures")


def write_all() -> None:
    """Write every generated page below ``docs/``, or those that ``DOCS_GENERATE`` names.

    Raises:
        ValueError: if ``DOCS_GENERATE`` names a generator that does not exist.
    """
    wanted = os.environ.get("DOCS_GENERATE", ",".join(GENERATORS)).split(",")
    if unknown := set(wanted) - set(GENERATORS):
        raise ValueError(f"DOCS_GENERATE: expected some of {GENERATORS}, got {sorted(unknown)}")
    for name in GENERATORS:
        if name in wanted:
            importlib.import_module(f"docs.generators.{name}").pages()
