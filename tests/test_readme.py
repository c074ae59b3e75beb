"""The README's Python blocks run as they stand."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs_and_learns(block, capsys):
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    accuracies = [float(x) for x in re.findall(r"0\.\d+", capsys.readouterr().out)]
    assert len(accuracies) == 4
    assert accuracies[-1] > 0.8
    assert accuracies[-1] > accuracies[0]
