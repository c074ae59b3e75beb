"""Execute the notebooks and store their outputs, with pictures of a moderate size.

``make notebooks`` runs this; building the pages executes nothing, it shows what is stored::

    python -m docs.generators.notebooks                       # all, about 20 minutes of two cores
    python -m docs.generators.notebooks 01_gossip 03_swarms   # those whose names begin so

A notebook and its script hold the same cells (``jupytext --sync``); the script is what is executed.
"""

import base64
import io
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
WIDEST = 1100  # pixels of a stored picture


def execute(script: Path) -> Path:
    """Run every cell of ``script`` and write the notebook beside it, outputs included.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails; the stored notebook stays.
        ValueError: if a cell prints a warning or other text on a stream.
    """
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    path = script.with_suffix(".ipynb")
    notebook = jupytext.read(script)
    _keep_identity(notebook, path)
    NotebookClient(
        notebook,
        timeout=1200,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(script.parent)}},
    ).execute()
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                raise ValueError(f"{path.name}: expected no printed text, got {output.text!r}")
            _shrink(output)
    nbformat.write(notebook, path)
    return path


def _keep_identity(notebook: Any, path: Path) -> None:
    """Take the metadata and the cells' ids from the stored notebook, so that diffs stay small."""
    import nbformat

    if not path.exists():
        return
    stored = nbformat.read(path, 4)
    notebook.metadata = stored.metadata
    ids = {(cell.cell_type, cell.source): cell.get("id") for cell in stored.cells}
    for cell in notebook.cells:
        cell["id"] = ids.get((cell.cell_type, cell.source)) or cell["id"]


def _shrink(output: Any) -> None:
    """Scale a picture down to :data:`WIDEST` pixels and compress it."""
    from PIL import Image

    data = output.get("data", {})
    if "image/png" not in data:
        return
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "png", optimize=True)
    data["image/png"] = base64.b64encode(file.getvalue()).decode() + "\n"


def main(beginnings: list[str]) -> None:
    """Execute the notebooks whose names begin with one of ``beginnings``; all by default."""
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no alarms of XLA on a busy machine
    for script in sorted(FOLDER.glob("*.py")):
        if beginnings and not script.stem.startswith(tuple(beginnings)):
            continue
        began = time.perf_counter()
        path = execute(script)
        size, seconds = path.stat().st_size / 1e3, time.perf_counter() - began
        print(f"{path.name}: {size:.0f} kB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
