"""What this machine does without a broker: loopback round trips and concurrent fdatasyncs."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from bench.client import percentiles

ROUNDS = 300
MESSAGE = b"x" * 200


def round_trip() -> dict[str, float]:
    """A 200-byte echo between two processes over loopback TCP."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        echo = socket.create_connection(listener.getsockname())
        echo.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := echo.recv(4096):
            echo.sendall(data)
        os._exit(0)
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took = []
    for _ in range(3000):
        begin = time.perf_counter()
        sock.sendall(MESSAGE)
        sock.recv(4096)
        took.append(time.perf_counter() - begin)
    sock.close()
    listener.close()
    os.waitpid(child, 0)
    return percentiles(took)


def _writer(path: Path, begin: int, done: int) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.pwrite(file, bytes(1 << 20), 0)
    os.fsync(file)
    os.write(done, b"r")
    for number in range(ROUNDS):
        os.read(begin, 1)
        os.pwrite(file, MESSAGE, number * len(MESSAGE))
        os.fdatasync(file)
        os.write(done, b"d")
    os._exit(0)


def concurrent_fdatasync(directory: Path) -> dict[str, float]:
    """Three processes sync at the same moment; the time until the second one is done."""
    done_read, done_write = os.pipe()
    children, begins = [], []
    for number in range(3):
        begin_read, begin_write = os.pipe()
        child = os.fork()
        if child == 0:
            _writer(directory / f"sync{number}", begin_read, done_write)
        children.append(child)
        begins.append(begin_write)
    _read(done_read, 3)
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for pipe in begins:
            os.write(pipe, b"g")
        _read(done_read, 2)
        took.append(time.perf_counter() - begin)
        _read(done_read, 1)
    for child in children:
        os.waitpid(child, 0)
    return percentiles(took)


def _read(pipe: int, count: int) -> None:
    while count:
        count -= len(os.read(pipe, count))


def plain_writers(directory: Path, batch_bytes: int, seconds: float) -> float:
    """MB/s that three processes reach together, each writing batches and syncing after each."""
    results_read, results_write = os.pipe()
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            written = _write_for(directory / f"plain{number}", batch_bytes, seconds)
            os.write(results_write, written.to_bytes(8, "big"))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    total = sum(int.from_bytes(os.read(results_read, 8), "big") for _ in children)
    return total / len(children) / seconds / 1e6


def _write_for(path: Path, batch_bytes: int, seconds: float) -> int:
    """Overwrite a preallocated file round and round; bytes made durable."""
    size = 64 << 20
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for start in range(0, size, 1 << 20):
        os.pwrite(file, bytes(1 << 20), start)
    os.fsync(file)
    batch, at, written, end = os.urandom(batch_bytes), 0, 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.pwrite(file, batch, at)
        os.fdatasync(file)
        written += batch_bytes
        at = (at + batch_bytes) % (size - batch_bytes)
    return written
