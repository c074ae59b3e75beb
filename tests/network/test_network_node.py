"""A real node: frames, refusals, bounded memory; processes that train, one killed and rejoined."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxswarm.network import node

ROOT = Path(__file__).resolve().parents[2]
X = [np.zeros(2, np.float32), np.zeros((2, 3), np.float32)]
ONES = [np.ones_like(x) for x in X]
SECRET = b"sixteen bytes at least"


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u1", "?"])
def test_frames_come_back_as_they_were(dtype, secret):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 2, shape).astype(dtype) for shape in ((), (3,), (2, 0), (2, 3, 4))]
    frame = node.encode(arrays, sender=5, sequence=2**64 - 1, secret=secret)
    sender, sequence, found = node.decode(frame, secret=secret)
    assert (sender, sequence) == (5, 2**64 - 1)
    for x, y in zip(arrays, found, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def test_damaged_frames_are_refused_whatever_is_damaged():
    frame = node.encode(ONES, sender=1, sequence=1)
    signed = node.encode(ONES, sender=1, sequence=1, secret=SECRET)
    for at in range(len(signed)):
        damaged = bytearray(signed)
        damaged[at] ^= 0x55
        with pytest.raises(node.Refused):
            node.decode(bytes(damaged), secret=SECRET)
    rng = np.random.default_rng(1)
    for _ in range(300):  # unsigned: refused, or arrays no larger than the frame
        damaged = bytearray(frame)
        damaged[rng.integers(len(frame))] = rng.integers(256)
        try:
            _, _, arrays = node.decode(bytes(damaged))
        except node.Refused:
            continue
        assert sum(x.nbytes for x in arrays) <= len(frame)
    for cut in range(len(frame)):
        with pytest.raises(node.Refused):
            node.decode(frame[:cut])
    with pytest.raises(node.Refused, match="signature"):
        node.decode(frame, secret=SECRET)


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_is_no_message_of_a_peer_is_refused_and_counted():
    good = node.encode(ONES, sender=1, sequence=5)
    later = {"sender": 1, "sequence": 6}
    frames = {
        "garbage": b"GET / HTTP/1.1\r\n" + b"x" * 100,
        "version": good[:4] + b"\x09\x00" + good[6:],
        "size": node.encode([np.ones(10_000, np.float32)], **later),
        "sender": node.encode(ONES, sender=9, sequence=6),
        "replay": good,
        "shape": node.encode([np.ones(3, np.float32), X[1]], **later),
    }
    with node.Node(0, X, {1: ("127.0.0.1", 1)}) as own:

        def raw(data):
            with socket.create_connection(("127.0.0.1", own.port)) as connection:
                connection.sendall(data)
                connection.settimeout(20.0)
                try:  # the node closes a connection that it refused
                    assert connection.recv(1) == b""
                except ConnectionResetError:
                    pass

        with socket.create_connection(("127.0.0.1", own.port)) as connection:
            connection.sendall(good)
            assert own.wait(1) == 1
            for reason, data in frames.items():
                raw(data)
                eventually(lambda reason=reason: own.refused[reason] == 1)
            raw(node.encode([np.full(2, np.nan, np.float32), X[1]], **later))
            eventually(lambda: own.refused["shape"] == 2)
            assert set(own.refused) <= set(node.REASONS)
            connection.sendall(node.encode(X, sender=1, sequence=7))  # the good one goes on
            eventually(lambda: own._last[1] == 7)
        np.testing.assert_array_equal(own.mix(ONES)[0], 0.5)  # the latest message alone
        np.testing.assert_array_equal(own.mix(ONES)[0], 1.0)  # and only once


def test_with_a_secret_frames_are_signed_and_without_one_nodes_stay_on_the_machine():
    with node.Node(0, X, {}, secret=SECRET) as own:
        own._peers[1] = ("127.0.0.1", 1)
        for secret in (b"another secret, as long", SECRET):
            with socket.create_connection(("127.0.0.1", own.port)) as connection:
                connection.sendall(node.encode(ONES, sender=1, sequence=3, secret=secret))
                eventually(lambda: own.refused["signature"] == 1)
        assert own.wait(1) == 1
        assert own.refused["signature"] == 1
    with pytest.raises(ValueError, match="host: expected a loopback"):
        node.Node(0, X, {}, host="0.0.0.0")
    with pytest.raises(ValueError, match="host: expected a loopback"):
        node.Node(0, X, {1: ("10.0.0.1", 5)})


def test_dead_peers_cost_a_count_and_not_the_round():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with node.Node(0, X, {1: ("127.0.0.1", port)}) as own:
        own.send(ONES)
        assert own.unsent == 1
        np.testing.assert_array_equal(own.mix(ONES)[0], 1.0)
        with node.Node(1, X, {0: ("127.0.0.1", own.port)}, port=port) as other:
            own.send(ONES)
            assert other.wait(1) == 1
        assert own.unsent == 1


BAD = {
    "number": (lambda: node.Node(-1, X, {}), "number: expected"),
    "itself": (lambda: node.Node(0, X, {0: ("127.0.0.1", 5)}), "peers: expected other nodes"),
    "port": (lambda: node.Node(0, X, {1: ("127.0.0.1", 0)}), "port: expected"),
    "secret": (lambda: node.Node(0, X, {}, secret=b"short"), "secret: expected"),
    "objects": (
        lambda: node.encode([np.array(["text"])], sender=0, sequence=0), "arrays.0.: expected",
    ),
    "sequence": (lambda: node.encode(X, sender=0, sequence=-1), "sequence: expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


PROCESSES, ROUNDS, SEEDS = 8, 150, 6


def start(number, ports, rounds):
    worker = Path(__file__).with_name("node_worker.py")
    command = [sys.executable, str(worker), "--number", str(number), "--rounds", str(rounds)]
    return subprocess.Popen(
        [*command, "--ports", *map(str, ports)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def simulated():
    """Mean accuracies of D-PSGD on the same ring, shards and rates, one for each seed."""
    import jax
    import jax.numpy as jnp
    import node_worker
    import optax

    from jaxswarm import gossip, learning, rollout, topology

    (images, labels), (test, answers) = node_worker.data()
    shards = [np.arange(i, node_worker.TRAIN, PROCESSES) for i in range(PROCESSES)]
    width = min(map(len, shards))
    x = jnp.stack([images[rows[:width]] for rows in shards])
    y = jnp.stack([labels[rows[:width]] for rows in shards])

    def draw(key, inputs):
        rows = jax.random.randint(key, (PROCESSES, node_worker.BATCH), 0, width)
        return jax.vmap(lambda i, x, y: (x[i], y[i]))(rows, *inputs)

    def loss(params, batch):
        scores = batch[0] @ params["w"] + params["b"][None]
        return optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()

    learner = learning.decentralized(
        loss, local=optax.sgd(node_worker.LEARNING_RATE), sample=draw,
        gossip=gossip.averaging(gossip.mixing(topology.ring(PROCESSES), "uniform")),
    )  # fmt: skip

    def run(key):
        zeros = {"w": jnp.zeros((PROCESSES, 64, 10)), "b": jnp.zeros((PROCESSES, 10))}
        state, _ = rollout(learner.step, learner.init(zeros), ROUNDS, key=key, inputs=(x, y))
        scores = jnp.einsum("td,ndc->ntc", test, state.params["w"]) + state.params["b"][:, None]
        return jnp.mean(jnp.argmax(scores, axis=-1) == answers[None])

    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), SEEDS)))


@pytest.mark.slow
def test_processes_train_as_the_simulation_though_one_is_killed_and_rejoins():
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(PROCESSES)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    running = [start(i, ports, ROUNDS) for i in range(PROCESSES)]
    try:
        eventually(lambda: _listens(ports[3]), 120)
        time.sleep(1.0)
        running[3].send_signal(signal.SIGKILL)
        running[3].communicate()
        running[3] = start(3, ports, ROUNDS)
        lines = [each.communicate(timeout=300)[0].split() for each in running]
    finally:
        for each in running:
            each.kill()
    found = [float(line[1]) for line in lines]
    assert all(int(line[3]) == 0 for line in lines)
    expected = simulated()
    # What a further run of the simulation would lie in, at 95 %: Student's t with five degrees.
    margin = 2.57 * expected.std(ddof=1) * np.sqrt(1 + 1 / SEEDS)
    assert abs(np.mean(found) - expected.mean()) <= margin, (found, expected)


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
