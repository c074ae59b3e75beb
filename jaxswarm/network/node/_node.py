"""A node of asynchronous gossip over TCP: sends its arrays, averages those that came.

References:
    X. Lian, W. Zhang, C. Zhang, J. Liu, Asynchronous decentralized parallel stochastic gradient
    descent, 2018.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from jaxswarm import checks
from jaxswarm.network.node._frames import HEADER, MAC_BYTES, Refused, body_length, decode, encode

REASONS = ("garbage", "version", "size", "signature", "sender", "replay", "shape")
"""Why frames are refused: no frame, another version, too many bytes, a wrong signature, an unknown
sender, a sequence number that is not larger than the last one, arrays of other shapes or dtypes, or
numbers that are not finite."""

_PATIENCE = 2.0  # seconds for a connection, and for a frame once it has begun


class Node:
    """One node. Use it as a context manager, or call :meth:`close`.

    A thread for each open connection receives; of every peer only the latest arrays are kept, so
    memory is bounded by the number of peers and the size of a frame.

    Args:
        number: of this node.
        example: arrays, whose shapes and dtypes all messages have.
        peers: number -> (host, port) of the nodes that it sends to and receives from.
        host: address to listen on; only loopback without a ``secret``.
        port: 0 for any free one, see :attr:`port`.
        secret: shared by all nodes, at least 16 bytes; frames are then signed.

    Raises:
        ValueError: an address that is not loopback without a secret, a short secret, numbers out of
            range, or itself among the peers.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.network import node
        >>> x = [np.zeros(2, np.float32)]
        >>> with node.Node(0, x, {}) as one:
        ...     with node.Node(1, x, {0: ("127.0.0.1", one.port)}) as other:
        ...         one.add_peer(1, "127.0.0.1", other.port)
        ...         other.send([np.ones(2, np.float32)])
        ...         _ = one.wait(1)
        ...         print(one.mix(x)[0])
        [0.5 0.5]
    """

    def __init__(
        self,
        number: int,
        example: Sequence[np.ndarray],
        peers: Mapping[int, tuple[str, int]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secret: bytes | None = None,
    ):
        self.number = checks.whole("number", number, 0, 2**31 - 1)
        checks.whole("port", port, 0, 65535)
        if secret is not None and (not isinstance(secret, bytes) or len(secret) < 16):
            raise ValueError("secret: expected at least 16 bytes, got fewer or no bytes")
        if secret is None and not _is_loopback(host):
            raise ValueError(
                f"host: expected a loopback address such as 127.0.0.1 without a secret, got {host}"
            )
        self._form = [(np.asarray(x).shape, np.asarray(x).dtype) for x in example]
        self._limit = len(encode(list(example), sender=0, sequence=0)) + MAC_BYTES
        self._secret = secret
        self._peers: dict[int, tuple[str, int]] = {}
        self._out: dict[int, socket.socket] = {}
        self._latest: dict[int, list[np.ndarray]] = {}
        self._last: dict[int, int] = {}
        self._sequence = time.time_ns()  # larger than before if the process is started again
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        self._closed = False
        self.refused: Counter[str] = Counter()
        self.unsent = 0
        for other, (address, its_port) in peers.items():
            self.add_peer(other, address, its_port)
        self._server = socket.create_server((host, port))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def add_peer(self, number: int, host: str, port: int) -> None:
        """Send to this peer, and accept frames of its number."""
        checks.whole("number", number, 0, 2**31 - 1)
        if number == self.number:
            raise ValueError(f"peers: expected other nodes, got the node's own number {number}")
        if self._secret is None and not _is_loopback(host):
            raise ValueError(f"host: expected a loopback address without a secret, got {host}")
        self._peers[number] = (host, checks.whole("port", port, 1, 65535))

    def send(self, arrays: Sequence[np.ndarray]) -> None:
        """Send arrays to all peers; those that cannot be reached are counted in ``unsent``."""
        self._sequence += 1
        frame = encode(arrays, sender=self.number, sequence=self._sequence, secret=self._secret)
        for number in self._peers:
            if not self._send_to(number, frame):
                self.unsent += 1

    def mix(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Average own arrays with those that came since the last call, all with equal weights."""
        with self._lock:
            came, self._latest = list(self._latest.values()), {}
        return [
            np.mean([own, *(x[i] for x in came)], axis=0, dtype=np.float64).astype(
                np.asarray(own).dtype
            )
            for i, own in enumerate(arrays)
        ]

    def wait(self, count: int, seconds: float = 5.0) -> int:
        """Wait until messages of ``count`` peers are there or the time is over; how many are."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._latest) >= count, seconds)
            return len(self._latest)

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        with self._lock:
            every = [self._server, *self._open, *self._out.values()]
        for each in every:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_to(self, number: int, frame: bytes) -> bool:
        for _ in range(2):  # again if the peer was started anew meanwhile
            known = self._out.pop(number, None)
            try:
                out = known or socket.create_connection(self._peers[number], _PATIENCE)
                out.settimeout(_PATIENCE)
                out.sendall(frame)
            except OSError:
                if known is None:
                    return False
                known.close()
                continue
            self._out[number] = out
            return True
        return False

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                full = len(self._open) > 2 * len(self._peers) + 8
                if not full:
                    self._open.add(connection)
            if full:
                connection.close()
            else:
                threading.Thread(target=self._receive, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        try:
            while not self._closed:
                connection.settimeout(None)
                header = _read(connection, HEADER.size)
                connection.settimeout(_PATIENCE)
                length = body_length(header, self._limit - HEADER.size)
                self._take(header + _read(connection, length))
        except Refused as error:  # where the next frame begins is unknown
            with self._lock:
                self.refused[error.reason] += 1
        except OSError:
            pass
        finally:
            connection.close()
            with self._lock:
                self._open.discard(connection)

    def _take(self, frame: bytes) -> None:
        sender, sequence, arrays = decode(frame, secret=self._secret)
        with self._lock:
            if sender not in self._peers:
                raise Refused("sender")
            if sequence <= self._last.get(sender, -1):
                raise Refused("replay")
            if [(x.shape, x.dtype) for x in arrays] != self._form:
                raise Refused("shape")
            if not all(np.isfinite(x).all() for x in arrays):
                raise Refused("shape")
            self._last[sender] = sequence
            self._latest[sender] = arrays
            self._lock.notify_all()


def _read(connection: socket.socket, count: int) -> bytes:
    """Exactly ``count`` bytes."""
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 16))
        if not part:
            raise OSError("closed")
        data += part
    return bytes(data)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
