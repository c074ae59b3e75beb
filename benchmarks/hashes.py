"""Hashes: comparisons of 64-bit hashes per second, against numpy and a loop over queries.

``python -m benchmarks.hashes --json PATH [--quick] [--only SECTION …]``

Section ``table`` writes the Hamming distances of all pairs, ``histogram`` counts pairs at each
distance without a table, ``perceptual`` hashes images (against the ImageHash package, if it is
installed). The peers are numpy's XOR and ``bitwise_count`` on whole blocks, and a loop that
compares one query after another with all entries, as libraries for search in binary codes do,
without look-up tables: XOR and ``bitwise_count`` of 64-bit integers into buffers that stay in the
cache. Peers do a fourth or a sixteenth of the work; they write distances as ``uint8``, we as
``int32``. All are timed in turn in one process; rates are medians over segments, compilation is
apart. ``on CPU`` rates divide by the process's CPU seconds instead of the clock's.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import command
from jaxswarm.trust import hashes

Row = dict[str, Any]
WORDS, BITS = 2, 64
BLOCK = 64
"""Queries that numpy compares at once."""


def measure(
    runs: dict[str, Callable[[], Any]], work: int, repeats: int, shares: dict[str, int]
) -> list[Row]:
    """Median rates by the clock and by the process's CPU seconds; runs take turns.

    Args:
        runs: by name; the first call of each is not timed, but its CPU seconds are reported.
        work: comparisons or images of one run.
        repeats: timed calls of each.
        shares: by name, parts of the work that a run leaves out: 4 for a quarter.
    """
    first, spent = {}, {name: [] for name in runs}
    for name, run in runs.items():
        began = time.process_time()
        run()
        first[name] = time.process_time() - began
    for _ in range(repeats):
        for name, run in runs.items():
            clock, cpu = time.perf_counter(), time.process_time()
            run()
            spent[name].append((time.perf_counter() - clock, time.process_time() - cpu))
    rows = []
    for name, times in spent.items():
        clock, cpu = (max(statistics.median(x), 1e-9) for x in zip(*times, strict=True))
        size = work / shares.get(name, 1)
        rows.append(
            {
                "impl": name,
                "per_s": size / clock,
                "per_cpu_s": size / cpu,
                "first_call_cpu_s": first[name],
            }
        )
    return rows


def codes(count: int, seed: int) -> np.ndarray:
    """Random hashes ``uint32[count, 2]``."""
    return np.random.default_rng(seed).integers(0, 2**32, (count, WORDS), np.uint32)


def numpy_table(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of all pairs ``uint8[N, M]`` of 64-bit integers, block by block."""
    found = np.empty((len(a), len(b)), np.uint8)
    for start in range(0, len(a), BLOCK):
        block = a[start : start + BLOCK, None] ^ b[None]
        found[start : start + BLOCK] = np.bitwise_count(block)
    return found


def query_loop(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of all pairs ``uint8[N, M]``, one query after another."""
    found = np.empty((len(a), len(b)), np.uint8)
    buffer = np.empty_like(b)
    for query, row in zip(a, found, strict=True):
        np.bitwise_xor(query, b, out=buffer)
        np.bitwise_count(buffer, out=row)
    return found


def numpy_histogram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pairs at each distance ``int64[65]``, block by block."""
    counts = np.zeros(BITS + 1, np.int64)
    for start in range(0, len(a), BLOCK):
        found = np.bitwise_count(a[start : start + BLOCK, None] ^ b[None])
        counts += np.bincount(found.ravel(), minlength=BITS + 1)
    return counts


def loop_histogram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pairs at each distance ``int64[65]``, one query after another."""
    counts, buffer = np.zeros(BITS + 1, np.int64), np.empty_like(b)
    row = np.empty(len(b), np.uint8)
    for query in a:
        np.bitwise_xor(query, b, out=buffer)
        np.bitwise_count(buffer, out=row)
        counts += np.bincount(row, minlength=BITS + 1)
    return counts


def table(quick: bool, repeats: int) -> Iterator[tuple[str, str, list[Row]]]:
    """Distances of all pairs."""
    for count in (64,) if quick else (1_024, 8_192):
        a, b = codes(count, 0), codes(count, 1)
        ours, other = (jnp.asarray(x) for x in (a, b))
        a, b = a.view(np.uint64).ravel(), b.view(np.uint64).ravel()
        part = a[: len(a) // 4]
        runs = {
            "jaxswarm": lambda x=ours, y=other: jax.block_until_ready(hashes.distances(x, y)),
            "numpy": lambda x=part, y=b: numpy_table(x, y),
            "query loop": lambda x=part, y=b: query_loop(x, y),
        }
        shares = {"numpy": 4, "query loop": 4}
        rows = measure(runs, count * count, repeats, shares)
        yield f"table, {count:,} x {count:,}", "comparisons", rows


def histogram(quick: bool, repeats: int) -> Iterator[tuple[str, str, list[Row]]]:
    """Pairs at each distance."""
    for count in (64,) if quick else (8_192, 16_384):
        a, b = codes(count, 0), codes(count, 1)
        ours, other = (jnp.asarray(x) for x in (a, b))
        a, b = a.view(np.uint64).ravel(), b.view(np.uint64).ravel()
        part = a[: len(a) // 16]
        runs = {
            "jaxswarm": lambda x=ours, y=other: hashes.histogram(x, y),
            "numpy": lambda x=part, y=b: numpy_histogram(x, y),
            "query loop": lambda x=part, y=b: loop_histogram(x, y),
        }
        shares = {"numpy": 16, "query loop": 16}
        rows = measure(runs, count * count, repeats, shares)
        yield f"histogram, {count:,} x {count:,}", "comparisons", rows


def perceptual(quick: bool, repeats: int) -> Iterator[tuple[str, str, list[Row]]]:
    """Hashes of images of 32 x 32 pixels."""
    count = 16 if quick else 2_048
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32), np.uint8)
    for kind in hashes.KINDS:
        runs: dict[str, Callable[[], Any]] = {
            "jaxswarm": lambda k=kind: jax.block_until_ready(hashes.perceptual(images, k))
        }
        if importlib.util.find_spec("imagehash"):
            runs["imagehash"] = lambda k=kind: imagehash_of(images[: count // 16], k)
        rows = measure(runs, count, repeats, {"imagehash": 16})
        yield f"{kind}, {count:,} images", "images", rows


def imagehash_of(images: np.ndarray, kind: str) -> list[Any]:
    """Hashes by the ImageHash package."""
    import imagehash
    from PIL import Image

    of = {"ahash": imagehash.average_hash}.get(kind) or getattr(imagehash, kind)
    return [of(Image.fromarray(image)) for image in images]


SECTIONS: dict[str, Callable[[bool, int], Iterator[tuple[str, str, list[Row]]]]] = {
    "table": table,
    "histogram": histogram,
    "perceptual": perceptual,
}


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for setting, unit, rows in SECTIONS[section](quick, 2 if quick else 5):
            for row in rows:
                ratio = rows[0]["per_cpu_s"] / row["per_cpu_s"]
                row |= {"setting": setting, "unit": unit, "ours_over_it": ratio}
            found["rows"] += rows
            print(shown(rows), flush=True)
    return found


def shown(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:28} {row['impl']:10}{row['per_s']:>15,.0f} {row['unit']}/s"
        f"{row['per_cpu_s']:>15,.0f} on CPU{row['first_call_cpu_s']:>7.2f} s first call"
        + ("" if row["impl"] == "jaxswarm" else f"   jaxswarm {row['ours_over_it']:.1f} ×")
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command.main("hashes", __doc__, SECTIONS, run, arguments)


if __name__ == "__main__":
    main()
