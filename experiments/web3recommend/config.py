"""Sizes of the Web3Recommend experiment at the three scales."""

from dataclasses import dataclass
from pathlib import Path

DATA = ("simulated", "movielens")


@dataclass(frozen=True)
class Config:
    """Sizes of the network, of the attacks and of the three parts."""

    data: str = "simulated"  # affinities: simulated, or movielens (ratings in --path)
    path: Path | None = None  # file or folder of MovieLens, see jaxswarm.data.movielens
    users: int = 120  # simulated users
    items: int = 360  # simulated items
    tastes: int = 6  # groups of items that simulated users prefer
    plays: int = 24  # items that a simulated user has played
    trusted: int = 5  # most similar users that each user trusts
    sybils: tuple[int, ...] = (1, 8, 40)  # numbers of Sybils behind one attacker, ascending
    promoted: int = 3  # items that attackers promote
    roots: int = 10  # attacked users of each repetition, each with its own attack
    many: tuple[float, ...] = (0.1, 0.3)  # shares of users that attack together
    many_sybils: int = 20  # Sybils of each of many attackers, in a chain
    alpha: float = 0.1  # probability of stopping before each step
    beta: float = 0.8  # decay behind a bottleneck
    walks: int = 300  # walks of each root
    longest: int = 80  # longest walk of trust alone, which stops by chance at no step
    top: int = 36  # length of the list in which the hidden favorite is searched
    window: int = 3000  # edges that a node holds in the gossip part
    gossip_rounds: int = 600  # rounds of gossip
    gossip_edges: int = 5  # edges of each kind in a message
    gossip_roots: int = 16  # users whose ranking by their own view is compared
    seeds: int = 8  # independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        if self.data not in DATA:
            raise ValueError(f"data: expected one of {DATA}, got {self.data!r}")
        if len(self.sybils) < 2 or list(self.sybils) != sorted(set(self.sybils)):
            raise ValueError(f"sybils: expected ascending numbers, at least 2, got {self.sybils}")
        if self.sybils[0] < 1:
            raise ValueError(f"sybils: expected numbers of at least 1, got {self.sybils}")
        if not self.many or not all(0 < share < 0.5 for share in self.many):
            raise ValueError(f"many: expected shares in (0, 0.5), got {self.many}")
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")


SCALES = {
    "smoke": Config(
        users=24, items=40, tastes=3, plays=10, trusted=3, sybils=(1, 3), roots=2, many=(0.2,),
        many_sybils=2, walks=40, longest=20, top=5, window=150, gossip_rounds=12, gossip_roots=4,
        seeds=2,
    ),
    "small": Config(),
    # The paper's regime is 100,000 users and more, with every node as a root.
    "full": Config(
        data="movielens", sybils=(1, 8, 40, 100), roots=8, top=100, walks=2000, window=4000,
        gossip_rounds=600, gossip_roots=8, seeds=5,
    ),
}  # fmt: skip
