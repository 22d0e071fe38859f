"""A process that looks like a broker to `quorate dev`: it answers Metadata requests, nothing else.

Usage: fake_broker.py PORT ID,ID,... BEHAVIOUR; the behaviour is `serve`, `stubborn` (SIGTERM is
ignored), `silent` (never listens) or `fail` (ends at once with exit code 3; `fail-5`: with 5).
"""

from __future__ import annotations

import signal
import socket
import struct
import sys


def answer(correlation: int, brokers: list[int]) -> bytes:
    """A Metadata v1 response; the first broker is the controller."""
    body = struct.pack(">ii", correlation, len(brokers))
    for broker in brokers:
        body += struct.pack(">ih4sih", broker, 4, b"host", 9092, -1)
    body += struct.pack(">ii", brokers[0], 0)
    return struct.pack(">i", len(body)) + body


def serve(port: int, brokers: list[int]) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        print("serving", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(4096)
                if len(request) >= 12:
                    (correlation,) = struct.unpack_from(">i", request, 8)
                    connection.sendall(answer(correlation, brokers))


def main(port: str, ids: str, behaviour: str) -> int:
    if behaviour.startswith("fail"):
        print("the disk is on fire", flush=True)
        return int(behaviour.partition("-")[2] or 3)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "silent":
        while True:
            signal.pause()
    serve(int(port), [int(each) for each in ids.split(",")])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
