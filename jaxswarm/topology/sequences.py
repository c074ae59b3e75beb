"""Time-varying topologies (sequences) and batches: ``Topology`` with a leading axis of ``T``.

Round ``t`` uses ``sequence[t % T]``. A sequence of length ``T`` holds ``T * E`` edge slots.

References:
    Ying, Yuan, Chen, Hu, Pan, Yin, Exponential Graph is Provably Efficient for Decentralized Deep
    Training, 2021 (one-peer exponential graphs average exactly). Boyd, Ghosh, Prabhakar, Shah,
    Randomized gossip algorithms, 2006 (matchings).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.families import circulant
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.random_families import generator, random_regular, watts_strogatz
from jaxswarm.topology.validation import require_topology


def stack(topologies: Sequence[Topology], *, name: str | None = None) -> Topology:
    """Stack topologies over the same agents along a leading axis: a sequence in time, or a batch.

    Use this rather than ``jax.tree.map(jnp.stack, …)``, which refuses graphs of different size or
    name. The shorter edge lists are padded; padding slots hold ``N - 1`` twice and a false mask.
    Hops (``offsets``) are kept if all members have the same.

    Args:
        topologies: single topologies, at least one.
        name: of the result, for tables and messages; by default the members' common one.

    Example:
        >>> from jaxswarm.topology.families import ring, star
        >>> graphs = stack([ring(5), star(5)], name="ring and star")
        >>> graphs
        Topology('ring and star', 5 agents, 2 members, 10 edge slots)
        >>> graphs[1].in_degrees().tolist()
        [4, 1, 1, 1, 1]

    Raises:
        ValueError: on an empty list, a sequence among the members, or different numbers of agents.
    """
    if isinstance(topologies, Topology) or not isinstance(topologies, Iterable):
        shown = checks.shown(topologies)
        raise ValueError(f"topologies: expected a list of topologies, got {shown}")
    members = list(topologies)
    if name is not None:
        checks.instance("name", name, str, "'graphs'")
    if not members:
        raise ValueError("topologies: expected at least 1, got an empty list")
    for i, member in enumerate(members):
        require_topology(member, f"topologies[{i}]")
        checks.concrete(f"topologies[{i}]", member)
    n = members[0].num_agents
    for i, member in enumerate(members):
        if member.is_sequence:
            raise ValueError(f"topologies[{i}]: expected a single topology, got a sequence")
        if member.num_agents != n:
            raise ValueError(f"topologies[{i}]: expected {n} agents, got {member.num_agents}")
    slots = max(member.num_edge_slots for member in members)
    senders = np.full((len(members), slots), n - 1, np.int32)
    receivers = np.full((len(members), slots), n - 1, np.int32)
    mask = np.zeros((len(members), slots), bool)
    for i, member in enumerate(members):
        used = slice(member.num_edge_slots)
        senders[i, used], receivers[i, used] = member.senders, member.receivers
        mask[i, used] = member.mask
    offsets = members[0].offsets
    same = all(member.offsets == offsets for member in members)
    names = {member.name for member in members}
    if name is None:
        name = names.pop() if len(names) == 1 else "stack"
    return Topology(senders, receivers, mask, n, offsets if same else None, name)


def one_peer_exponential(num_agents: int) -> Topology:
    """Build the one-peer exponential sequence of graphs.

    In round ``t`` agent ``i`` receives only from ``i + 2^t (mod N)``, for ``T = ceil(log2 N)``
    rounds. Directed. With weights one half (``"metropolis"``,
    ``"uniform"`` and ``"push"`` all give them) every round is doubly stochastic, and if ``N`` is a
    power of two, ``T`` rounds average exactly.
    """
    n = checks.whole("num_agents", num_agents, 1)
    rounds = max(1, (n - 1).bit_length())
    return stack(
        [circulant(n, [1 << t] if n > 1 else []) for t in range(rounds)],
        name="one_peer_exponential",
    )


def random_matching(num_agents: int, rounds: int, *, seed: int = 0) -> Topology:
    """Draw a sequence of uniform random matchings; for odd ``N`` one agent has no partner.

    Raises:
        ValueError: on ``num_agents < 1`` or ``rounds < 1``.
    """
    n = checks.whole("num_agents", num_agents, 1)
    rounds = checks.whole("rounds", rounds, 1)
    order = generator(seed, 0).permuted(np.tile(np.arange(n, dtype=np.int32), (rounds, 1)), axis=1)
    left, right = order[:, 0 : n - 1 : 2], order[:, 1:n:2]
    senders, receivers = np.concatenate([left, right], 1), np.concatenate([right, left], 1)
    by_receiver = np.argsort(receivers, axis=1)
    return Topology(
        senders=np.take_along_axis(senders, by_receiver, axis=1),
        receivers=np.take_along_axis(receivers, by_receiver, axis=1),
        mask=np.ones(senders.shape, bool),
        num_agents=n,
        name="random_matching",
    )


def rewired_watts_strogatz(
    num_agents: int, degree: int, probability: float, rounds: int, *, every: int = 1, seed: int = 0
) -> Topology:
    """Draw a new connected small-world graph every ``every`` rounds, as a sequence.

    Args:
        num_agents: ``N``.
        degree: neighbours before rewiring, even, below ``N``.
        probability: chance in ``[0, 1]`` that an edge gets a random other end.
        rounds: ``T``.
        every: rounds for which each graph is used.
        seed: of the generator.

    Raises:
        ValueError: on arguments out of range, or if no connected graph was found.
    """

    def draw(seed: int) -> Topology:
        return watts_strogatz(num_agents, degree, probability, seed=seed)

    return _resampled(draw, rounds, every, seed)


def resampled_random_regular(
    num_agents: int,
    degree: int,
    rounds: int,
    *,
    every: int = 1,
    seed: int = 0,
    connected: bool = True,
) -> Topology:
    """Draw a new random regular graph every ``every`` rounds, as a sequence.

    See :func:`jaxswarm.topology.random_regular`.

    Raises:
        ValueError: on arguments out of range, or if no connected graph was found.
    """

    def draw(seed: int) -> Topology:
        return random_regular(num_agents, degree, seed=seed, connected=connected)

    return _resampled(draw, rounds, every, seed)


def _resampled(draw: Callable[[int], Topology], rounds: int, every: int, seed: int) -> Topology:
    rounds = checks.whole("rounds", rounds, 1)
    every = checks.whole("every", every, 1)
    count = -(-rounds // every)
    seeds = generator(seed, 0).integers(2**31, size=count)
    graphs = [draw(int(s)) for s in seeds]
    return stack([graphs[t // every] for t in range(rounds)])
