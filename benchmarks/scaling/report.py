"""The figures as Markdown tables and as one chart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scaling.timing import Row

Cell = Callable[[Row], str]

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
LARGE_STATE = 1e9
"""Bytes beyond which parameters do not fit a cache."""


def tables(found: dict[str, Any]) -> str:
    """Markdown: the device and its ceilings, then a table for every section that was measured."""
    device, ceiling = found["device"], found["ceiling"]
    copy = ceiling["copy_gbs"]
    parts = [
        f"{device['kind']}, jax {device['jax']}: copies {copy:,.0f} GB/s, matrix products "
        f"{ceiling['gemm_gflops'] / 1e3:,.1f} TFLOP/s (float32 as jax multiplies by default), "
        f"{device['free_bytes'] / 1e9:,.0f} GB free."
    ]
    for name, columns in _columns(copy).items():
        rows = [row for row in found.get(name, []) if "skipped" not in row]
        if rows:
            seconds = found["seconds"][name]
            parts.append(f"### {name}\n\n{_table(rows, columns)}\n\n{seconds:.0f} s in all.")
        left = [row for row in found.get(name, []) if "skipped" in row]
        if left:
            parts.append("Left out: " + "; ".join(_skipped(row) for row in left) + ".")
    parts.append(targets(found))
    for name, error in found["errors"].items():
        parts.append(f"Section {name} failed: {error.strip().splitlines()[-1]}")
    return "\n\n".join(part for part in parts if part)


def targets(found: dict[str, Any]) -> str:
    """What was aimed at on one H200, and what came of it; empty on a CPU."""
    if found["device"]["platform"] != "gpu":
        return ""
    copy = found["ceiling"]["copy_gbs"]
    lines = []

    def judge(text: str, value: float, least: float, shown: str) -> None:
        verdict = "held" if value >= least else "not held"
        lines.append(f"| {text} | {shown} | {verdict} |")

    for layout in ("circulant", "gather"):
        large = [
            row
            for row in found.get("gossip", [])
            if row["layout"] == layout
            and "skipped" not in row
            and row["bytes_minimal"] / 2 >= LARGE_STATE
        ]
        if large:
            for by in ("touched", "minimal"):
                least = min(row[f"{by}_gbs"] for row in large) / copy
                text = f"gossip of large models, {layout}, bytes {by}: at least 70 % of copies"
                judge(text, least, 0.7, f"{least:.0%} at worst")
    for row in found.get("learners", []):
        if row["agents"] == 10_000 and "skipped" not in row:
            rate = row["rounds_per_s"]
            text = f"10,000 learners, {row['case']}: at least 100 rounds/s"
            judge(text, rate, 100, f"{rate:,.0f} rounds/s")
    for row in found.get("local", []):
        if "skipped" not in row:
            text = "local step: at least 50 % of its matrix products alone"
            judge(text, row["ratio"], 0.5, f"{row['ratio']:.0%}")
    if not lines:
        return ""
    return "\n".join(["### targets", "", "| aim | measured | |", "|---|---|---|", *lines])


def insert(text: str, page: str) -> str:
    """``page`` with ``text`` between its marks.

    Raises:
        ValueError: if the page lacks the marks.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"page: expected the marks {BEGIN!r} and {END!r}")
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}"


def figure(found: dict[str, Any], path: Path) -> None:
    """Node-updates per second against ``N``, and shares of the copy bandwidth, per layout."""
    from jaxswarm import plotting

    rows = [row for row in found["gossip"] if "skipped" not in row]
    copy = found["ceiling"]["copy_gbs"]
    sizes = sorted({row["parameters"] for row in rows})
    size = min(sizes, key=lambda p: abs(p - 10_000))
    grid = plotting.panels(1, 2, width=6.4, height=4.4)[0]
    same = [row for row in rows if row["parameters"] == size]
    shown = (
        (same, "agents", lambda row: row["node_updates_per_s"], f"{size:,} parameters an agent"),
        (
            [row for row in rows if row["agents"] == _widest(rows)],
            "parameters",
            lambda row: 100 * row["touched_gbs"] / copy,
            f"{_widest(rows):,} agents",
        ),
    )
    heights = ("node-updates per second", "% of the copy bandwidth, bytes touched")
    for ax, (some, axis, value, title), height in zip(grid, shown, heights, strict=True):
        names = list(dict.fromkeys(row["case"] for row in some))
        x = {name: [row[axis] for row in some if row["case"] == name] for name in names}
        y = {name: [value(row) for row in some if row["case"] == name] for name in names}
        plotting.curves(y, x, xlabel=axis, ylabel=height, title=title, log=True, ax=ax)
        ax.set_xscale("log")
    plotting.save(grid[0], path)


def _widest(rows: Sequence[Row]) -> int:
    """The number of agents measured at the most sizes; of several, the largest."""
    counts = {row["agents"]: 0 for row in rows}
    for row in rows:
        counts[row["agents"]] += 1
    return max(counts, key=lambda n: (counts[n], n))


def _columns(copy: float) -> dict[str, dict[str, Cell]]:
    def number(name: str, scale: float = 1.0, digits: int = 4) -> Cell:
        return lambda row: _figures(row[name] * scale, digits) if name in row else ""

    def share(name: str) -> Cell:
        return lambda row: f"{row[name] / copy:.0%}" if name in row else ""

    speed: dict[str, Cell] = {
        "case": lambda row: row["case"],
        "agents": number("agents"),
        "parameters": number("parameters"),
        "rounds/s": number("rounds_per_s"),
        "node-updates/s": number("node_updates_per_s"),
    }
    shares = {"copy, touched": share("touched_gbs"), "copy, minimal": share("minimal_gbs")}
    cost = {"compile s": number("compile_s", digits=2), "peak MB": number("peak_bytes", 1e-6)}
    step: dict[str, Cell] = {"step ms": number("step_s", 1e3)}
    error: dict[str, Cell] = {"largest error": number("error", digits=2)}
    return {
        "learners": speed
        | {"GFLOP/s": number("gflops"), "copy, least": share("touched_gbs")}
        | cost
        | {"bytes an agent": number("peak_bytes_per_agent")},
        "local": {
            "agents": number("agents"),
            **step,
            "products at best ms": number("products_s", 1e3),
            "products / step": lambda row: f"{row['ratio']:.0%}",
            "passes over the parameters": number("passes_over_parameters", digits=2),
        },
        "donation": {
            "case": lambda row: row["case"],
            "state MB": number("state_bytes", 1e-6),
            "shared with the result MB": number("alias_bytes", 1e-6),
            "scratch MB": number("temp_bytes", 1e-6),
            "peak MB": number("peak_bytes", 1e-6),
            "peak, in states": number("peak_states", digits=3),
            "rounds/s": number("rounds_per_s"),
        },
        "memory": {
            "case": lambda row: row["case"],
            "agents": number("agents"),
            "parameters": number("parameters"),
            "state MB": number("state_bytes", 1e-6),
            "shared with the result MB": number("alias_bytes", 1e-6),
            "scratch MB": number("temp_bytes", 1e-6),
            "peak, in states": number("peak_states", digits=3),
            "bytes an agent": number("peak_bytes_per_agent"),
            "resident MB": number("resident_bytes", 1e-6),
            "node-updates/s": number("node_updates_per_s"),
        },
        "sweep": {
            "case": lambda row: row["case"],
            "way": lambda row: row["way"],
            "run s": number("run_s", digits=3),
            "compile s": number("compile_s", digits=2),
            "loop / this, run": number("ratio", digits=3),
            "loop / this, run and compile": number("ratio_together", digits=3),
        },
        "gossip": speed | shares | cost,
        "variants": {"degree": number("degree")} | speed | shares | cost | step | error,
    }


def _table(rows: Sequence[Row], columns: dict[str, Cell]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    lines = [f"| {' | '.join(cell(row) for cell in columns.values())} |" for row in rows]
    return "\n".join([head, *lines])


def _figures(value: float, digits: int) -> str:
    """A number for people: thousands separated, ``digits`` figures at least."""
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _skipped(row: Row) -> str:
    size = f", P = {row['parameters']:,}" if "parameters" in row else ""
    return f"{row['case']} at N = {row['agents']:,}{size} ({row['skipped']})"
