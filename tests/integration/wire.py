"""What goes over the loopback interface, byte by byte; only root may look."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ANYTHING = 3  # ETH_P_ALL
ETHERNET, TCP = 14, 6
BUFFER = 128 << 20
MOST = 512 << 20
STATISTICS = (263, 6)  # SOL_PACKET, PACKET_STATISTICS


class Wire:
    """The frames that went by."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.size = 0
        self.dropped = 0

    def ports(self, needle: bytes) -> set[int]:
        """Return the ports of the TCP segments that have these bytes."""
        return {port for frame in self.frames if needle in frame for port in _ports(frame)}


@contextmanager
def tapped() -> Iterator[Wire]:
    """Listen to all that goes over lo in the block. Skips the test for whoever may not."""
    wire = Wire()
    try:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ANYTHING))
    except PermissionError:
        pytest.skip("only root may listen to the loopback interface (AF_PACKET)")
    with tap:
        tap.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), BUFFER)
        tap.bind(("lo", 0))
        tap.settimeout(0.2)
        ended = threading.Event()
        listener = threading.Thread(target=_listen, args=(tap, wire, ended))
        listener.start()
        try:
            yield wire
        finally:
            ended.set()
            listener.join()
            wire.dropped = struct.unpack("II", tap.getsockopt(*STATISTICS, 8))[1]


def say_in_the_clear(words: bytes) -> int:
    """Send words over a loopback connection without TLS; return the port that they went to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(words)
            with server.accept()[0] as other:
                assert other.recv(len(words)) == words
    return port


def _listen(tap: socket.socket, wire: Wire, ended: threading.Event) -> None:
    """Listen until the end, and then until it is silent or nothing that was sent before can be missing."""
    rest = 2000
    while wire.size < MOST and rest:
        rest -= ended.is_set()
        try:
            wire.frames.append(tap.recv(1 << 17))
            wire.size += len(wire.frames[-1])
        except TimeoutError:
            if ended.is_set():
                return


def _ports(frame: bytes) -> tuple[int, ...]:
    """Return the ports of a TCP segment over IPv4."""
    if frame[12:14] != b"\x08\x00" or frame[ETHERNET + 9] != TCP:
        return (0,)
    start = ETHERNET + 4 * (frame[ETHERNET] & 15)
    return struct.unpack_from(">HH", frame, start)
