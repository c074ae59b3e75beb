"""An actor in a process of its own: sends every message back, as a model's reply would come.

Started by :mod:`experiments.matrix.messages`; needs no package, so it starts at once.
"""

import socket
import struct


def read(connection: socket.socket) -> bytes:
    """The next message: four bytes of length, then the message; empty at the end of the stream."""
    header = _exactly(connection, 4)
    return _exactly(connection, struct.unpack("!I", header)[0]) if header else b""


def write(connection: socket.socket, message: bytes) -> None:
    """Send one message."""
    connection.sendall(struct.pack("!I", len(message)) + message)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(count)
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def serve(port: int) -> None:
    """Connect to a port of this machine, and send back what comes until the stream ends."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        while message := read(peer):
            write(peer, message)
