"""Five ways to organise a team, as numbers that can be traced and stacked.

References: Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from typing import Any, NamedTuple

from jaxswarm import errors

ARCHITECTURES = ("single", "independent", "centralised", "decentralised", "hybrid")


class Architecture(NamedTuple):
    """Who works, who checks, who hears; leaves may be traced.

    Attributes:
        members: workers among whom subtasks are dealt, from 1.
        self_check: whether a worker looks at its own result again.
        peer_checks: how many other workers judge a result; they reject by majority.
        boss: whether an orchestrator checks every result and passes it on.
        broadcast: whether results go to all workers.
        direct: whether they go straight to the workers who need them.
    """

    members: Any
    self_check: Any
    peer_checks: Any
    boss: Any
    broadcast: Any
    direct: Any


def architecture(name: str, members: int, *, peers: int = 1) -> Architecture:
    """One of :data:`ARCHITECTURES`.

    Args:
        name: which.
        members: workers; 1 for ``single``, at least 2 for the others.
        peers: judges of a result among a hybrid's workers; all others judge a decentralised one's.

    Raises:
        ValueError: an unknown name, a single agent of several, a team of one, or ``peers`` that do
            not exist.
    """
    if name not in ARCHITECTURES:
        raise errors.unknown("architecture", name, ARCHITECTURES)
    if members < 1:
        raise ValueError(f"members: expected at least 1, got {members}")
    if name == "single" and members != 1:
        raise ValueError(f"members: expected 1 for a single agent, got {members}")
    if name != "single" and members < 2:
        raise ValueError(f"members: expected at least 2 for {name}, got {members}")
    if not 0 <= peers < max(members, 2):
        raise ValueError(f"peers: expected 0 to {members - 1}, got {peers}")
    return {
        "single": Architecture(1, True, 0, False, False, False),
        "independent": Architecture(members, True, 0, False, False, False),
        "centralised": Architecture(members, False, 0, True, False, False),
        "decentralised": Architecture(members, False, members - 1, False, True, False),
        "hybrid": Architecture(members, False, peers, True, False, True),
    }[name]
