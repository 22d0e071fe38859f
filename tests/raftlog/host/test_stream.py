"""Stream: framing over a real socket pair, back-pressure in both directions."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from struct import Struct

import pytest
import trio
import trio.testing

from raftlog.host import stream as stream_module
from raftlog.host.stream import RECEIVE_BYTES, Stream

_SIZE = Struct(">I")
LIMIT = 64 * 1024 * 1024


def frame(payload: bytes) -> bytes:
    return _SIZE.pack(len(payload)) + payload


class Frames:
    """A `Consume` that collects length-prefixed frames, up to a budget before it pauses."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.budget = 1 << 60
        self.stream: Stream

    def has(self, count: int) -> bool:
        return len(self.got) == count

    def consume(self, view: memoryview) -> tuple[int, int]:
        at, end = 0, len(view)
        while end - at >= 4:
            if not self.budget:
                self.stream.pause()
                return at, 0
            (size,) = _SIZE.unpack_from(view, at)
            if end - at - 4 < size:
                return at, size + 4
            self.got.append(bytes(view[at + 4 : at + 4 + size]))
            self.budget -= 1
            at += 4 + size
        return at, 0


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - the condition is another task's list
            await trio.sleep(0.001)


def pair() -> tuple[Frames, Stream, socket.socket]:
    mine, theirs = socket.socketpair()
    theirs.setblocking(False)
    frames = Frames()
    frames.stream = Stream(mine, max_pending_bytes=1 << 20)
    return frames, frames.stream, theirs


async def send(sock: socket.socket, data: bytes, step: int) -> None:
    for start in range(0, len(data), step):
        part = memoryview(data)[start : start + step]
        while part:
            await trio.lowlevel.wait_writable(sock)
            part = part[sock.send(part) :]


@pytest.mark.parametrize("step", [1, 3, 4096, 1 << 20])
async def test_frames_arrive_whole_however_they_are_cut(step: int) -> None:
    frames, stream, theirs = pair()
    payloads = [b"", b"a", b"bc" * 100, bytes(range(256)) * 40]
    if step > 100:
        payloads += [b"x" * (RECEIVE_BYTES * 3 + 7), b"y" * RECEIVE_BYTES, b"z"] * 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run, frames.consume)
        await send(theirs, b"".join(map(frame, payloads)), step)
        await until(lambda: len(frames.got) == len(payloads))
        theirs.close()
    assert frames.got == payloads


async def test_a_paused_reader_is_offered_its_frames_again_and_loses_none() -> None:
    frames, stream, theirs = pair()
    payloads = [bytes([n]) * 1000 for n in range(200)]
    frames.budget = 3
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run, frames.consume)
        nursery.start_soon(send, theirs, b"".join(map(frame, payloads)), 1 << 16)
        for expected in (3, 4, 100, 200):
            await until(partial(frames.has, expected))
            frames.budget = {3: 1, 4: 96, 100: 100}.get(expected, 0)
            stream.resume()
        theirs.close()
    assert frames.got == payloads


async def test_a_writer_blocks_resumes_in_order_and_reports_what_was_sent() -> None:
    mine, theirs = socket.socketpair()
    theirs.setblocking(False)
    sent: list[int] = []
    stream = Stream(mine, max_pending_bytes=LIMIT, on_sent=sent.append)
    chunks = [bytes([n]) * 300_000 for n in range(20)]
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run, lambda view: (len(view), 0))
        await trio.testing.wait_all_tasks_blocked()
        for chunk in chunks:
            assert stream.write([chunk[:10], chunk[10:]])
        assert stream.pending_bytes
        while len(received) < 20 * 300_000:
            with trio.fail_after(10):
                await trio.lowlevel.wait_readable(theirs)
            received += theirs.recv(1 << 20)
        theirs.close()
    assert bytes(received) == b"".join(chunks)
    assert sum(sent) == len(received)


async def test_a_peer_that_never_reads_is_cut_off_at_the_bound() -> None:
    mine, theirs = socket.socketpair()
    stream = Stream(mine, max_pending_bytes=1 << 20)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run, lambda view: (len(view), 0))
        await trio.testing.wait_all_tasks_blocked()
        written = 0
        while stream.write([bytes(100_000)]):
            written += 1
            assert written < 100, "never bounded"
    assert stream.closed
    theirs.close()


async def test_a_length_sets_no_memory_aside_for_what_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    take = stream_module._pool.take

    def watched(size: int) -> memoryview:
        taken.append(size)
        return take(size)

    monkeypatch.setattr(stream_module._pool, "take", watched)
    frames, stream, theirs = pair()
    payload = bytes(range(256)) * 40_000
    whole, came = frame(payload), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run, frames.consume)
        for end in (4, 100, 50_000, 1_000_000, len(whole)):
            await send(theirs, whole[came:end], 1 << 20)
            came = end
            await trio.testing.wait_all_tasks_blocked()
            assert max(taken) <= max(64 * 1024, stream_module.GROWTH * came)
        await until(lambda: frames.has(1))
        theirs.close()
    assert frames.got == [payload]
