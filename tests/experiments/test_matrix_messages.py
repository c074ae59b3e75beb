"""The measured control messages of the Matrix experiment: real rows, sent and received."""

import pickle
import random
import socket
import threading

from experiments.matrix import messages
from experiments.matrix.actor import read, write


def test_longer_histories_take_longer():
    seconds = messages.measure((1_000, 200_000), 40, 2)
    assert seconds.shape == (2, 2)
    assert (seconds > 0).all()
    assert seconds[1].min() > 2 * seconds[0].min()


def test_a_row_keeps_its_size_and_gets_a_turn_at_every_hop():
    ours, theirs = socket.socketpair()
    seen = []

    def actor():
        while message := read(theirs):
            seen.append(message)
            write(theirs, message)

    thread = threading.Thread(target=actor)
    thread.start()
    turns = [{"role": "actor", "text": "x" * messages.TURN} for _ in range(4)]
    row = {"id": 7, "role": 0, "history": turns}
    with ours, theirs:
        messages._hand_on(ours, pickle.dumps(row), 12, random.Random(0))
        ours.shutdown(socket.SHUT_WR)
        thread.join(timeout=10)
    rows = [pickle.loads(message) for message in seen]
    assert len(rows) == 12
    assert all(len(each["history"]) == 4 and each["id"] == 7 for each in rows)
    assert rows[1]["history"][-1]["text"] == "y" * messages.TURN
    assert rows[0]["history"][1:] == rows[1]["history"][:-1]
    assert [each["role"] for each in rows[:2]] == [0, 1]  # a dialogue's first two roles
    assert {each["role"] for each in rows} == {0, 1, 2}
