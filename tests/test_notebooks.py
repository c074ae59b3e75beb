"""Every notebook is the twin of its script, runs from top to bottom, and shows its pictures."""

from pathlib import Path

import jupytext
import nbclient
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.py"))


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_twins(script):
    pair = jupytext.read(script.with_suffix(".ipynb"))
    assert cells(pair) == cells(jupytext.read(script))
    assert not any(cell.get("outputs") for cell in pair.cells)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_draws(script):
    notebook = jupytext.read(script)
    root = str(script.parent.parent)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": root}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    drawn = [cell for cell in notebook.cells if cell.source.rstrip().endswith(".figure")]
    assert len(pictures) >= len(drawn) >= 1
