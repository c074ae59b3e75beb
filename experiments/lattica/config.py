"""Sizes of the Lattica experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the network, of stores, lookups and fetches, and of the methods that run on it."""

    seeds: int = 10  # independent populations, networks and runs, at least 2
    peers: int = 1_000  # peers whose pairs connect, and of the lookups
    regions: int = 4  # regions of the peers, at most 10
    public: float = 0.1  # share of peers without a NAT in the ladder
    upnp: float = 0.2  # share of the others whose NAT opens a port when asked
    jitter: float = 0.2  # standard deviation of the logarithm of a round trip
    jitters: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)  # of the sensitivity of hole punching
    replicas: tuple[int, ...] = (64, 128, 256, 512, 1024)  # sizes of replicated stores, ascending
    degree: int = 16  # peers that a replica knows, of which it asks a random one a round
    writers: int = 16  # replicas that write
    cut: int = 12  # rounds of the partition, in which they write
    settle: int = 60  # rounds after it in which replicas converge
    minority: float = 0.3  # share of the replicas on the smaller side
    loss: float = 0.3  # share of the messages lost
    repeated: float = 0.3  # share of messages of two rounds ago that come (again)
    crashes: float = 0.1  # share of the replicas that crash when the partition ends
    quorum: int = 3  # replicas that hold a write before it is acknowledged
    queries: int = 60  # lookups of each seed
    failed: float = 0.2  # share of failed peers in lookups
    bucket: int = 20  # peers in a bucket (the paper's k)
    growth: tuple[int, ...] = (64, 256, 1024, 4096)  # peers in lookups with buckets of 4, ascending
    holders: int = 16  # peers of a client that fetches blocks
    blocks: int = 80  # blocks that it fetches, one after another
    sizes: tuple[float, ...] = (0.25e6, 1e6, 4e6)  # bytes of a block, the second is judged
    downlink: float = 12.5e6  # bytes per second that a client receives
    requests: int = 3_000  # requests of a client to a server
    in_flight: tuple[int, ...] = (16, 64)  # requests under way at once, ascending
    train_seeds: int = 6  # of the runs that train, at most `seeds`
    agents: int = 32  # agents that train over the transport
    rounds: int = 60  # rounds of training
    alpha: float = 0.3  # Dirichlet concentration of classes over agents
    round_seconds: float = 0.5  # length of a round of D-PSGD
    sample: int = 8  # agents that train in a round of MoDeST
    tasks: int = 300  # tasks of a requester of Symphony-Coord
    workers: int = 16  # its workers
    spread_peers: int = 400  # peers that replicate a model
    spread_blocks: int = 16  # blocks of the model
    spread_uplink: int = 10  # blocks that the server sends while a peer sends one
    spread_leaves: float = 7e-4  # share of peers that leave in a slot: 20 % an hour at 12.5 s
    spread_seeds: int = 10  # runs of each way to replicate
    every_method: bool = True  # simulate the server too; its time is a division otherwise
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.seeds < 2 or self.spread_seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}, {self.spread_seeds}")
        if not 2 <= self.train_seeds <= self.seeds:
            raise ValueError(f"train_seeds: expected 2 to {self.seeds}, got {self.train_seeds}")
        for name in ("replicas", "growth", "in_flight"):
            values = getattr(self, name)
            if len(values) < 2 or list(values) != sorted(set(values)):
                raise ValueError(f"{name}: expected ascending numbers, got {values}")
        if not 2 <= self.regions <= 10:
            raise ValueError(f"regions: expected 2 to 10, got {self.regions}")
        if len(self.sizes) < 2:
            raise ValueError(f"sizes: expected at least 2, got {self.sizes}")


SCALES = {
    "smoke": Config(
        seeds=2, train_seeds=2, peers=100, jitters=(0.1, 0.8), replicas=(32, 64), degree=8,
        writers=6, cut=4, settle=30, queries=10, growth=(64, 128), holders=8, blocks=12,
        requests=200, in_flight=(4, 16), agents=8, rounds=8, sample=4, tasks=40, workers=6,
        spread_peers=40, spread_blocks=4, spread_seeds=2,
    ),
    "small": Config(),
    # The paper's regime is a network of many thousands of peers in ten regions with churn.
    "full": Config(
        peers=4_000, regions=10, replicas=(64, 256, 1024, 4096, 16384), settle=100, queries=400,
        growth=(64, 256, 1024, 4096, 16384), blocks=300, requests=20_000, in_flight=(16, 64, 256),
        agents=128, rounds=200, tasks=1_000, workers=64, spread_peers=100_000, spread_blocks=64,
        spread_uplink=100, spread_seeds=3, every_method=False,
    ),
}  # fmt: skip
