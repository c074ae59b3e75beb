"""Blueprints of a company: written by a designer, with a reviewer or without.

Shapes: ``B`` blueprints, ``Q`` points.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.envs import theatre


class Plays(NamedTuple):
    """Blueprints with what the reviewer found.

    Attributes:
        blueprints: leaves ``[B, …]``.
        reachable: ``bool[B, Q]``, flags that can be reached after all before them.
        first: the same of each first draft, before any was sent back.
        drafts: ``int32[B]``, drafts that were written.
    """

    blueprints: theatre.Blueprint
    reachable: np.ndarray
    first: np.ndarray
    drafts: np.ndarray


def stage_plays(seed: int, stage: theatre.Stage, count: int, **options: Any) -> Plays:
    """Write blueprints for a stage.

    Args:
        seed: of all random numbers; blueprint ``b`` has a stream of its own.
        stage: facts and verbs.
        count: ``B``, at least 1.
        options: of ``theatre.write`` and ``theatre.draft``: ``designer``, ``reviewer``, ``points``.

    Raises:
        ValueError: for sizes out of range or an unknown designer.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> from jaxswarm.systems import hamlet
        >>> made = hamlet.stage_plays(0, theatre.default_stage(), 3, points=2)
        >>> made.reachable.shape, bool(made.reachable.all())
        ((3, 2), True)
    """
    seed, count = checks.whole("seed", seed), checks.whole("count", count, 1)
    written = [
        theatre.write(np.random.default_rng([seed, number]), stage, **options)
        for number in range(count)
    ]
    return Plays(
        theatre.stack(stage, [each.blueprint for each in written], reachable=False),
        np.stack([each.reviews[-1].reachable for each in written]),
        np.stack([each.reviews[0].reachable for each in written]),
        np.array([len(each.reviews) for each in written], np.int32),
    )
