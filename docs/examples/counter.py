"""A replicated counter: `counter.py` runs three nodes, `counter.py NODE` one of the three. In its
input "2+" asks node 2 to add one, "2?" to read. The data stays in ./counter-data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trio

from raftlog import RaftError
from raftlog.host import RaftHost, format_quorum

DATA = Path("counter-data")
NODES = {1: ("127.0.0.1", 7101), 2: ("127.0.0.1", 7102), 3: ("127.0.0.1", 7103)}


class Counter:
    def __init__(self, node: int) -> None:
        self.count = 0
        self.host = RaftHost(DATA / str(node))
        self.group = self.host.add(1, self)

    def apply(self, command: bytes) -> int:  # committed: it is on the disks of a majority
        self.count += int(command)
        return self.count

    def snapshot(self) -> bytes:
        return str(self.count).encode()

    def restore(self, snapshot: bytes) -> None:
        self.count = int(snapshot)

    async def answer(self, request: str) -> str:
        try:
            if request == "+":
                return f"added, now {await self.group.propose(b'1')}"
            await self.group.read()  # until the next await, nobody knows a newer count
            return f"the count is {self.count}"
        except RaftError as error:
            return f"{type(error).__name__}: {error}"


async def main() -> None:
    format_quorum(DATA, "counter", NODES)
    nodes = {str(node): Counter(int(node)) for node in sys.argv[1:] or NODES}
    async with trio.open_nursery() as nursery:
        for node, counter in nodes.items():
            await nursery.start(counter.host.run)
            print(f"node {node} runs in process {os.getpid()}", flush=True)
        async for requests in trio.lowlevel.FdStream(os.dup(0)):
            for request in requests.decode().split():
                asked = nodes.get(request[0])
                print(await asked.answer(request[1:]) if asked else "not here", flush=True)
        nursery.cancel_scope.cancel()


trio.run(main)
