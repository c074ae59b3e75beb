"""Sizes of the Matrix experiment; seconds and bytes are those of the simulated system."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the throughput, admission, crash, byte and large-scale parts."""

    rows: int = 1200  # rows of data in a run
    servers: int = 256  # calls that the service pool answers at once; one of concurrency
    actors: int = 32  # actors of each role
    tau: float = 0.02  # assumed seconds that a control message takes at the queue that handles it
    taus: tuple[float, ...] = (0.001, 0.005, 0.01, 0.04)  # in the sweep of these
    histories: tuple[int, ...] = (1_000, 10_000, 100_000)  # bytes of a row, in measured messages
    messages: int = 500  # of one measurement
    rows_of_paper: int = 12_400  # rows at once, and servers, with measured messages (31 nodes)
    steps: int = 120  # time steps of 0.05 s in that part
    spread: float = 0.3  # standard deviation of the logarithm of service times
    concurrency: tuple[int, ...] = (8, 16, 32, 64, 128, 204, 256, 384)  # rows at once, ascending
    slots: tuple[int, ...] = (64, 256)
    """rows at once in the comparison of admission by row or batch"""
    batches: int = 16  # batches of rows in that comparison
    max_hops: int = 16  # hops after which a row leaves
    crash_times: tuple[int, ...] = (2, 5, 9)  # seconds at which actors 0, 1, 2, … crash
    at_once: int = 0  # rows at once in the large-scale part in fixed time steps; 0 skips it
    ticks: int = 400  # time steps of 0.05 s of the large-scale part
    seeds: int = 5  # independent runs of the throughput and admission parts
    short_seeds: int = 20  # independent runs of the crash and byte parts
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if list(self.concurrency) != sorted(set(self.concurrency)) or len(self.concurrency) < 4:
            raise ValueError(
                f"concurrency: expected four or more ascending numbers, got {self.concurrency}"
            )
        if self.servers not in self.concurrency:
            raise ValueError(
                f"servers: expected one of concurrency={self.concurrency}, got {self.servers}"
            )


SCALES = {
    "smoke": Config(
        rows=60, servers=16, actors=4, tau=0.2, concurrency=(2, 8, 16, 20), slots=(8,), batches=4,
        seeds=2, short_seeds=2, max_hops=6, taus=(0.05, 0.2), histories=(1_000,), messages=20,
        rows_of_paper=40, steps=100,
    ),
    "small": Config(),
    "full": Config(seeds=10, at_once=100_000),
}  # fmt: skip
