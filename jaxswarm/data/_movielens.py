"""Read MovieLens ratings from disk as logged interactions.

References:
    F. M. Harper, J. A. Konstan, The MovieLens datasets: history and context, 2015.
"""

import csv
import importlib.util
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from jaxswarm.data._interactions import Interactions, interactions
from jaxswarm.data.files import ENVIRONMENT, as_path

NAMES = ("u.data", "ratings.csv", "ratings.dat", "ml-100k.inter")
"""Names of the files in which releases of MovieLens keep their ratings."""

_PACKAGE = "recbole"
_FOLDERS = ("", "ml-*/", "dataset_example/ml-*/")
_SEPARATORS = {".csv": ",", ".dat": "::"}


def movielens(path: str | Path | None = None) -> Interactions:
    """Read the ratings of MovieLens: a session per user, its steps in the order of time.

    The data are not part of this package and are never downloaded. GroupLens permits research use
    and no redistribution.

    Args:
        path: one of ``u.data``, ``ratings.dat``, ``ratings.csv`` (the releases of GroupLens) or
            ``ml-100k.inter`` (RecBole's copy), or a folder, ``.zip`` or ``.whl`` that holds one.
            Default: the folder named by the environment variable ``JAXSWARM_DATA``, then the
            installed package ``recbole``, which is only searched for the file, not imported.

    Returns:
        Actions are items, numbered by their identifiers in ascending order; the only reward is
        ``"rating"``. Users chose what they rated and no propensities are known: in their place
        stands the share of each item among all ratings, an estimate that says how popular an item
        is and is no ground for off-policy evaluation.

    Raises:
        ValueError: if no file is found (with the places that were searched), or a line is not four
            numbers (naming it).

    Example:
        ``envs.FeedEnv.from_log(data.movielens("~/ml-100k"), watch="rating")`` gives a feed with
        the tastes of 943 users for 1,682 films.
    """
    with _opened(path) as (stream, name):
        user, item, rating, when = _columns(stream, name)
    items, action = np.unique(item, return_inverse=True)
    share = np.bincount(action, minlength=len(items)) / len(action)
    return interactions(user, action, {"rating": rating}, propensity=share[action], order=when)


def _columns(stream: TextIO, name: str) -> tuple[np.ndarray, ...]:
    """User, item, rating and time stamp of every line."""
    separator = _SEPARATORS.get(Path(name).suffix, "\t")
    rows: list[list[float]] = []
    for line, text in enumerate(stream, 1):
        fields = next(csv.reader([text])) if separator == "," else text.rstrip().split(separator)
        try:
            if len(fields) != 4:
                raise ValueError
            rows.append([float(field) for field in fields])
        except ValueError:
            if line == 1 and fields[0].startswith("user"):
                continue  # a header
            raise ValueError(
                f"path: expected user, item, rating and time stamp in line {line} of {name}, got "
                f"{text.strip()!r}"
            ) from None
    if not rows:
        raise ValueError(f"path: expected ratings in {name}, got an empty file")
    user, item, rating, when = np.array(rows, np.float64).T
    return user.astype(np.int64), item.astype(np.int64), rating, when


@contextmanager
def _opened(path: str | Path | None) -> Iterator[tuple[TextIO, str]]:
    """The file of ratings, open, and its name."""
    searched: list[str] = []
    for place in _places(path):
        if place.is_dir():
            found = (f for name in NAMES for below in _FOLDERS for f in place.glob(below + name))
            place = next(found, place)
        if place.is_file() and zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                inside = [n for n in archive.namelist() if n.rpartition("/")[2] in NAMES]
                if inside:
                    with archive.open(inside[0]) as raw:
                        yield io.TextIOWrapper(raw, "utf-8-sig"), inside[0]
                    return
        elif place.is_file():
            with place.open(encoding="utf-8-sig") as stream:
                yield stream, place.name
            return
        searched.append(str(place))
    raise ValueError(
        f"path: expected a file {' or '.join(NAMES)}, or a folder or archive with one, got none in "
        f"{', '.join(searched) or 'None'}; pass path=, set JAXSWARM_DATA, or install {_PACKAGE}"
    )


def _places(path: str | Path | None) -> Iterator[Path]:
    if path is not None:
        yield as_path(path)
        return
    if root := os.environ.get(ENVIRONMENT):
        yield as_path(root)
    package = importlib.util.find_spec(_PACKAGE)
    if package is not None:
        yield from (Path(place) for place in package.submodule_search_locations or ())
