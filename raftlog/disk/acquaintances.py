"""Which directories this one has met, so that none comes back without its memory.

A directory id stands for what its directory promised: votes, entries, acknowledgements. Who
formats a wiped directory under the id that it had before makes a replica that has forgotten all
of that and would vote again. It cannot be told from the id; but each formatting draws a number of
its own (`formatting` in `meta.properties`), and whoever met the directory before remembers that:
one that comes with another number is refused (`raftlog.engine.handshake`).

The file is text, a line `<node>:<directory id> <formatting>` per directory, replaced as a whole
and durable before the first frame of a new acquaintance is taken.
"""

from __future__ import annotations

from typing import Final

from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem
from raftlog.types import ReplicaId

FILE_NAME: Final = "peers"
ENTRIES_MAX: Final = 4096
"""Of more directories than that the latest are not remembered."""
FORMATTING_BYTES: Final = 16
_HEAD: Final = "# Directories that this one has met; see raftlog/disk/acquaintances.py."


class Acquaintances:
    """Reads the file when made. `remember` blocks; it is called once per directory ever."""

    def __init__(self, fs: FileSystem) -> None:
        """OSError; CorruptLog when the file is not what was written."""
        self._fs = fs
        self._known: dict[ReplicaId, bytes] = {}
        self._by_node: dict[int, ReplicaId] = {}
        if fs.exists(FILE_NAME):
            self._load()

    def _load(self) -> None:
        file = self._fs.open(FILE_NAME)
        try:
            text = file.pread(file.size(), 0)
        finally:
            file.close()
        try:
            for line in text.decode().splitlines():
                if line and not line.startswith("#"):
                    who, formatting = line.split(" ")
                    node, directory = who.split(":")
                    self._note(ReplicaId(int(node), bytes.fromhex(directory)), formatting)
        except ValueError as error:
            raise CorruptLog(
                f"{FILE_NAME}: {error}; restore the file, or remove it if every other broker's "
                "directory is certainly the one that it was"
            ) from error

    def _note(self, replica: ReplicaId, formatting: str) -> None:
        self._known[replica] = bytes.fromhex(formatting)
        self._by_node[replica.node] = replica

    def met(self, replica: ReplicaId | None) -> tuple[bytes, bytes]:
        """(directory, formatting) as `replica` was met; two empty values: it was not."""
        formatting = None if replica is None else self._known.get(replica)
        return (
            (b"", b"") if replica is None or formatting is None else (replica.directory, formatting)
        )

    def latest(self, node: int) -> ReplicaId | None:
        """The directory with which `node` was met last."""
        return self._by_node.get(node)

    def remember(self, replica: ReplicaId, formatting: bytes) -> None:
        """Durably, unless it is known; the caller has seen that it does not contradict."""
        if not formatting or replica in self._known or len(self._known) >= ENTRIES_MAX:
            return
        self._note(replica, formatting.hex())
        lines = [f"{r.node}:{r.directory.hex()} {f.hex()}" for r, f in self._known.items()]
        data = "\n".join([_HEAD, *lines, ""]).encode()
        fresh = f"{FILE_NAME}.new"
        file = self._fs.open(fresh, create=True)
        try:
            file.truncate(0)
            file.pwrite([data], 0)
            file.sync()
        finally:
            file.close()
        self._fs.rename(fresh, FILE_NAME)
        self._fs.sync_directory("")
