"""Seconds that one process takes to handle a control message, measured with real messages.

The process does what a central orchestrator does for every hop of a row: it receives the row from
an actor in another process over TCP on this machine, unpickles it, adds a turn to its history,
draws the next role, pickles it and sends it on. Counted is the process's own processor time, of the
system calls too, so waiting for the actor costs nothing, and neither does other work on the
machine. An orchestrator in Python that handles messages of one thread can be no faster.
"""

import pickle
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.matrix.actor import read, write
from experiments.matrix.workflows import DIALOGUE

TURN = 500  # characters of one turn of a history
ACTOR = Path(__file__).with_name("actor.py")
RUN = "import runpy, sys; runpy.run_path(sys.argv[1])['serve'](int(sys.argv[2]))"


def measure(sizes: Sequence[int], count: int, repeats: int, seed: int = 0) -> np.ndarray:
    """Processor seconds of a message, for histories of several sizes.

    Args:
        sizes: bytes of the rows' histories, each at least ``TURN``.
        count: messages of one measurement.
        repeats: measurements of every size.
        seed: of the roles that are drawn.

    Returns:
        ``float64[len(sizes), repeats]``.
    """
    draw = random.Random(seed)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen([sys.executable, "-c", RUN, str(ACTOR), port]) as actor:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                seconds = [
                    [_measure_once(connection, size, count, draw) for _ in range(repeats)]
                    for size in sizes
                ]
            actor.wait(timeout=30)
    return np.array(seconds)


def _measure_once(connection: socket.socket, size: int, count: int, draw: random.Random) -> float:
    row = {
        "id": 0,
        "role": 0,
        "history": [{"role": "actor", "text": "x" * TURN} for _ in range(size // TURN)],
    }
    _hand_on(connection, pickle.dumps(row), 10, draw)  # warms caches and buffers
    began = time.thread_time()
    _hand_on(connection, pickle.dumps(row), count, draw)
    return (time.thread_time() - began) / count


def _hand_on(connection: socket.socket, message: bytes, count: int, draw: random.Random) -> None:
    """Pass a row through ``count`` hops; its history keeps its size."""
    for _ in range(count):
        write(connection, message)
        row = pickle.loads(read(connection))
        row["history"] = [*row["history"][1:], {"role": str(row["role"]), "text": "y" * TURN}]
        chances = DIALOGUE[row["role"]][:-1]
        row["role"] = draw.choices(range(len(chances)), chances)[0] if sum(chances) else 0
        message = pickle.dumps(row)
