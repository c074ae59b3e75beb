"""An actor in a process of its own: sends every message back, as a model's reply would come.

Run by :mod:`experiments.matrix.messages` as ``python actor.py PORT``; needs no package.
"""

import socket
import struct
import sys


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


if __name__ == "__main__":
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
        while message := read(peer):
            write(peer, message)
