"""Five architectures of agent teams as numbers that can be traced and stacked.

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from typing import NamedTuple

from jax.typing import ArrayLike

from jaxswarm import checks

ARCHITECTURES = ("single", "divided", "centralized", "decentralized", "hybrid")
"""What :func:`architecture` makes; :func:`.run_independent` is the paper's independent team."""

MOST_ROUNDS = 3


class Architecture(NamedTuple):
    """Which agents work, check results and receive them; leaves may be traced.

    Attributes:
        members: workers to which subtasks are assigned in turn, at least 1.
        self_check: whether a worker checks its own result.
        peer_checks: how many other workers check a result; they reject it by majority.
        orchestrator: whether an orchestrator checks every result and relays it.
        broadcast: whether results are sent to all workers.
        direct: whether they are sent directly to the workers that need them.
        rounds: checks of one subtask at most, 1 to 3: an answer that was made again is checked
            again until it is accepted, or this many rounds have passed.
    """

    members: ArrayLike
    self_check: ArrayLike
    peer_checks: ArrayLike
    orchestrator: ArrayLike
    broadcast: ArrayLike
    direct: ArrayLike
    rounds: ArrayLike = 1


def architecture(name: str, members: int, *, peers: int = 1, rounds: int = 1) -> Architecture:
    """Make one of :data:`ARCHITECTURES`.

    The members of a *divided* team take the subtasks in turn and exchange nothing.

    Args:
        name: one of :data:`ARCHITECTURES`.
        members: workers; 1 for ``single``, at least 2 for the others.
        peers: workers of a hybrid team that check a result; in a decentralised team all others do.
        rounds: of checks and second answers, 1 to 3: of debate in a decentralised team, of review
            by the orchestrator in a centralised one.

    Raises:
        ValueError: an unknown name, a single agent of several, a team of one, or more ``peers``
            than there are, or rounds out of range.
    """
    checks.choice("architecture", name, ARCHITECTURES)
    members = checks.whole("members", members, 1)
    if name == "single" and members != 1:
        raise ValueError(f"members: expected 1 for a single agent, got {members}")
    if name != "single" and members < 2:
        raise ValueError(f"members: expected at least 2 for {name}, got {members}")
    peers = checks.whole("peers", peers, 0, max(members, 2) - 1)
    rounds = checks.whole("rounds", rounds, 1, MOST_ROUNDS)
    return {
        "single": Architecture(1, True, 0, False, False, False, rounds),
        "divided": Architecture(members, True, 0, False, False, False, rounds),
        "centralized": Architecture(members, False, 0, True, False, False, rounds),
        "decentralized": Architecture(members, False, members - 1, False, True, False, rounds),
        "hybrid": Architecture(members, False, peers, True, False, True, rounds),
    }[name]
