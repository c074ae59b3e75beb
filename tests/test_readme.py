"""The README's Python blocks run as they stand."""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
QUICKSTART, TRAINING = re.findall(
    r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
)


def _printed(block: str, capsys) -> list[float]:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    return [float(x) for x in re.findall(r"\d+\.\d+(?:e-?\d+)?", capsys.readouterr().out)]


def test_the_quickstart_mixes(capsys):
    assert len(QUICKSTART.splitlines()) <= 10
    (disagreement,) = _printed(QUICKSTART, capsys)
    assert 0.0 < disagreement < 0.3 * 1000  # 1,000 independent normal numbers to begin with


def test_the_custom_rule_learns(capsys):
    accuracies = _printed(TRAINING, capsys)
    assert len(accuracies) == 4
    assert accuracies[-1] > 0.8
    assert accuracies[-1] > accuracies[0]
