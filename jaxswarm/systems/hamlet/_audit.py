"""Audit of performances: a second, plain implementation of the narrator replays every act.

Shapes: ``T`` moments, ``N`` actors, ``F`` facts, ``Q`` points.
"""

from typing import NamedTuple

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.envs import theatre
from jaxswarm.envs.theatre.blueprints import with_exits
from jaxswarm.systems.hamlet._perform import Trace


class Audit(NamedTuple):
    """Numbers of violations in one performance, and of what was checked.

    Attributes:
        facts: facts that differ from those that possible acts (and exits) lead to.
        absent: acts of actors who are not on stage that succeeded.
        impossible: acts that succeeded without their preconditions.
        refused: acts that failed though they were possible.
        order: points that were passed without their flag, or out of order.
        groups: moments with a prop or an actor in two places or in none.
        acts: acts that were checked.
    """

    facts: int
    absent: int
    impossible: int
    refused: int
    order: int
    groups: int
    acts: int

    @property
    def violations(self) -> int:
        """All violations together."""
        return sum(self[:6])


def audit(stage: theatre.Stage, plays: theatre.Blueprint, trace: Trace) -> Audit:
    """Replay one performance act by act from its trace, on the host.

    Args:
        stage: facts and verbs.
        plays: blueprints, leaves ``[B, …]``.
        trace: of :func:`perform`, concrete.

    Raises:
        ValueError: for something that is no trace, or a traced one.
    """
    theatre.check_stage(stage)
    checks.instance("trace", trace, Trace, "hamlet.perform(…)[1]")
    trace = jax.tree.map(np.asarray, checks.concrete("trace", trace))
    flags, cast = np.asarray(plays.flags), np.asarray(plays.cast)
    count = dict.fromkeys(Audit._fields, 0)
    states = trace.states.facts, trace.states.point
    play, last = int(trace.final.play), flags.shape[1]
    facts, point = states[0][0].copy(), 0
    for t in range(len(states[0])):
        count["facts"] += int((facts != states[0][t]).sum())
        count["order"] += int(point != int(states[1][t]))
        facts, point = states[0][t].copy(), int(states[1][t])
        if point >= last:
            continue
        for i in trace.infos.order[t]:
            number, won = int(trace.infos.acts[t, i]), bool(trace.infos.succeeded[t, i])
            if number == 0:
                count["impossible"] += won
                continue
            count["acts"] += 1
            if not 1 <= number <= stage.num_acts:
                count["impossible"] += won
                continue
            if not trace.present[t, i]:
                count["absent"] += won
                continue
            m = number - 1
            holds = all(
                facts[f] == stage.required[i, m, f] for f in np.flatnonzero(stage.requires[i, m])
            )
            changed = np.flatnonzero(stage.changes[i, m])
            fresh = any(facts[f] != stage.results[i, m, f] for f in changed)
            possible = bool(holds and fresh and stage.exists[i, m])
            count["impossible"] += won and not possible
            count["refused"] += possible and not won
            if won:
                facts[changed] = stage.results[i, m, changed]
        facts = np.asarray(facts)
        if facts[flags[play, point]].all():
            point += 1
            if point < last:
                facts = with_exits(stage, facts, cast[play, point - 1] & ~cast[play, point])
        count["groups"] += int((stage.groups.astype(int) @ facts != 1).any())
    count["facts"] += int((facts != trace.final.facts).sum())
    count["order"] += int(point != int(trace.final.point))
    return Audit(**count)
