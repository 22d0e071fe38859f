"""Whose directory this is: `meta.properties`, and the lock that keeps a second process out.

The file is text, one `key=value` per line, '#' begins a comment, in any order:

    format.version=1
    cluster.id=<text without spaces>
    node.id=<integer>
    directory.id=<32 hexadecimal digits>
    voters=<node>@<host>:<port>:<directory id>,...     of the first metadata quorum, may be empty

and, in format.version=2 only, which former releases refuse because they would not heed it:

    recovery=<number>.<16 hexadecimal digits>          may be empty; see below
    abandoned=<node>:<directory id>,...                may be empty

and, since format.version=3, drawn anew by each formatting (see `raftlog.disk.acquaintances`):

    formatting=<32 hexadecimal digits>

It is written by formatting, and once more by a forced recovery (`quorate cluster recover`); a
directory's id is never given to another directory. A start with a file that is missing, of
another version or of another node is Misconfigured.

A recovery id tells a cluster whose metadata quorum was recovered by force from the one that it
had been: the two share a cluster id and a past, and must not talk. The digits are drawn, so that
two copies that were both forced are not taken for one cluster. The abandoned replicas are those
that a recovery here left for lost: what they hold may contradict what went on without them.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from raftlog.disk.acquaintances import FORMATTING_BYTES
from raftlog.errors import Misconfigured
from raftlog.seams import FileSystem
from raftlog.types import ReplicaId

FILE_NAME: Final = "meta.properties"
LOCK_NAME: Final = ".lock"
FORMAT_VERSION: Final = 1
RECOVERED_VERSION: Final = 2
"""Of a directory with a recovery id or abandoned replicas."""
FORMATTING_VERSION: Final = 3
"""Of a directory that tells which formatting made it: all that are formatted now."""
DIRECTORY_ID_BYTES: Final = 16
FILE_BYTES_MAX: Final = 256 * 1024
NODE_ID_MAX: Final = 2**31 - 1
ABANDONED_MAX: Final = 128
"""They travel in every hello between peers, which is bounded."""
_KEYS: Final = ("format.version", "cluster.id", "node.id", "directory.id", "voters")
_RECOVERY_KEYS: Final = ("recovery", "abandoned")
_FORMATTING_KEYS: Final = ("formatting",)
_ALL_KEYS: Final = (*_KEYS, *_RECOVERY_KEYS, *_FORMATTING_KEYS)
_RECOVERY: Final = re.compile(r"([1-9][0-9]{0,8})\.[0-9a-f]{16}")


class Voter(NamedTuple):
    """A founding member of the metadata quorum and where its peer listener is."""

    node_id: int
    directory_id: bytes
    """16 bytes."""
    host: str
    port: int

    def __str__(self) -> str:
        """As in the file, and in `controller.quorum.voters`."""
        return f"{self.node_id}@{_bracketed(self.host)}:{self.port}:{self.directory_id.hex()}"


class Properties(NamedTuple):
    """The content of `meta.properties`."""

    cluster_id: str
    node_id: int
    directory_id: bytes
    """16 bytes."""
    voters: tuple[Voter, ...] = ()
    recovery: str = ""
    """Of the metadata quorum; "" as long as it was never forced."""
    abandoned: tuple[ReplicaId, ...] = ()
    """Replicas that must never be heard again; rising."""
    formatting: bytes = b""
    """16 random bytes; empty for a directory of a former release."""

    @property
    def format_version(self) -> int:
        """The lowest version that can say all this."""
        if self.formatting:
            return FORMATTING_VERSION
        return RECOVERED_VERSION if self.recovery or self.abandoned else FORMAT_VERSION

    @property
    def replica(self) -> ReplicaId:
        """This directory's copies."""
        return ReplicaId(self.node_id, self.directory_id)


def next_recovery(present: str, digits: bytes) -> str:
    """The recovery id that follows `present`; `digits` are 8 random bytes."""
    found = _RECOVERY.fullmatch(present)
    return f"{1 + (int(found[1]) if found else 0)}.{digits.hex()}"


def encode_properties(properties: Properties) -> bytes:
    """The file's text; ValueError when a value cannot be written."""
    _check(properties)
    values = {
        "format.version": str(properties.format_version),
        "cluster.id": properties.cluster_id,
        "node.id": str(properties.node_id),
        "directory.id": properties.directory_id.hex(),
        "voters": ",".join(map(str, properties.voters)),
    }
    if properties.format_version >= RECOVERED_VERSION:
        values["recovery"] = properties.recovery
        abandoned = [f"{node}:{directory.hex()}" for node, directory in properties.abandoned]
        values["abandoned"] = ",".join(abandoned)
    if properties.formatting:
        values["formatting"] = properties.formatting.hex()
    lines = [f"{key}={value}\n" for key, value in values.items()]
    return "".join(["# Written by `quorate storage format`. Do not edit.\n", *lines]).encode()


def _check(properties: Properties) -> None:
    members = [properties.replica, *properties.abandoned]
    members += [ReplicaId(voter.node_id, voter.directory_id) for voter in properties.voters]
    for node_id, directory_id in members:
        if not 0 <= node_id <= NODE_ID_MAX:
            raise ValueError(f"node id {node_id} is not within 0..{NODE_ID_MAX}")
        if len(directory_id) != DIRECTORY_ID_BYTES:
            raise ValueError(f"a directory id has {DIRECTORY_ID_BYTES} bytes")
    if len(properties.formatting) not in (0, FORMATTING_BYTES):
        raise ValueError(f"a formatting has {FORMATTING_BYTES} bytes")
    if not properties.cluster_id or not properties.cluster_id.isprintable():
        raise ValueError("the cluster id is empty or not printable")
    for voter in properties.voters:
        if not voter.host or set(voter.host) & set(",@[] \n") or not 0 < voter.port < 65536:
            raise ValueError(f"{voter.host!r}:{voter.port} is no address of a voter")
    if len({voter.node_id for voter in properties.voters}) != len(properties.voters):
        raise ValueError("a node is listed twice among the voters")
    if any(character in properties.cluster_id for character in "#= "):
        raise ValueError("the cluster id must not contain '#', '=' or spaces")
    _check_recovery(properties)


def _check_recovery(properties: Properties) -> None:
    if properties.recovery and not _RECOVERY.fullmatch(properties.recovery):
        raise ValueError(f"recovery {properties.recovery!r} is not number.digits")
    if len(properties.abandoned) > ABANDONED_MAX:
        raise ValueError(f"at most {ABANDONED_MAX} replicas can be abandoned")
    if properties.replica in properties.abandoned:
        raise ValueError("a directory cannot be abandoned by itself")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def decode_properties(data: bytes, where: str = FILE_NAME) -> Properties:
    """Parse the file's text; Misconfigured, naming the line or key, when it is not right."""
    values = _parse_lines(data, where)
    try:
        properties = Properties(
            values["cluster.id"],
            int(values["node.id"]),
            bytes.fromhex(values["directory.id"]),
            tuple(_parse_voter(text) for text in values["voters"].split(",") if text),
            values.get("recovery", ""),
            tuple(_parse_replica(t) for t in values.get("abandoned", "").split(",") if t),
            bytes.fromhex(values.get("formatting", "")),
        )
        _check(properties)
    except ValueError as error:
        raise Misconfigured(f"{where}: {error}; restore the file from a copy") from None
    return properties


def _parse_lines(data: bytes, where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise Misconfigured(f"{where}: this is not a text file; restore it from a copy") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        if not equals or key in values or key not in _ALL_KEYS:
            raise Misconfigured(f"{where}, line {number}: {text!r} is unknown or given twice")
        values[key] = value
    for key in _keys_of(values.get("format.version"), where):
        if key not in values:
            raise Misconfigured(f"{where}: {key} is missing; restore the file from a copy")
    return values


def _keys_of(version: str | None, where: str) -> tuple[str, ...]:
    """What a file of this version must hold; Misconfigured for one that cannot be read."""
    if version == str(FORMATTING_VERSION):
        return _ALL_KEYS
    if version == str(RECOVERED_VERSION):
        return (*_KEYS, *_RECOVERY_KEYS)
    if version in (str(FORMAT_VERSION), None):
        return _KEYS
    raise Misconfigured(
        f"{where}: format.version is {version!r}, this release reads {FORMAT_VERSION} to "
        f"{FORMATTING_VERSION}: start the release that wrote the directory, or format a new one"
    )


def _parse_replica(text: str) -> ReplicaId:
    node, _, directory = text.partition(":")
    try:
        return ReplicaId(int(node), bytes.fromhex(directory))
    except ValueError:
        raise ValueError(f"abandoned replica {text!r} is not node:directory") from None


def _parse_voter(text: str) -> Voter:
    node, _, rest = text.partition("@")
    address, _, directory = rest.rpartition(":")
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return Voter(int(node), bytes.fromhex(directory), host, int(port))
    except ValueError:
        raise ValueError(f"voter {text!r} is not node@host:port:directory") from None


def write_properties(fs: FileSystem, properties: Properties) -> None:
    """Write the file atomically and durably; Misconfigured when the directory has one."""
    if fs.exists(FILE_NAME):
        raise Misconfigured(
            f"the directory is formatted already ({FILE_NAME} exists): its id cannot be changed. "
            "Remove the directory to give up its data, and format it anew"
        )
    _write(fs, properties)


def replace_properties(fs: FileSystem, properties: Properties) -> None:
    """Write the file of a formatted directory anew, atomically and durably, for a recovery.

    ValueError when it would become another directory, or one of another node or cluster.
    """
    if read_properties(fs)[:3] != properties[:3]:
        raise ValueError("a directory keeps its cluster, node and id for ever")
    _write(fs, properties)


def _write(fs: FileSystem, properties: Properties) -> None:
    data = encode_properties(properties)
    temporary = f"{FILE_NAME}.new"
    file = fs.open(temporary, create=True)
    try:
        file.truncate(0)
        file.pwrite([data], 0)
        file.sync()
    finally:
        file.close()
    fs.rename(temporary, FILE_NAME)
    fs.sync_directory("")


def read_properties(fs: FileSystem) -> Properties:
    """The file of the directory that `fs` is the root of; Misconfigured."""
    try:
        file = fs.open(FILE_NAME)
    except FileNotFoundError:
        raise Misconfigured(
            f"there is no {FILE_NAME}: the directory is not formatted, or not the one you mean. "
            "Format it with `quorate storage format`; if it was in use before and its files are "
            "gone, under a new id (`--directory-id new`): the one it had stands for lost promises"
        ) from None
    try:
        return decode_properties(file.pread(FILE_BYTES_MAX, 0))
    finally:
        file.close()


def verify_properties(
    properties: Properties, *, cluster_id: str | None = None, node_id: int | None = None
) -> None:
    """Misconfigured when the directory belongs to another cluster or node than expected."""
    if cluster_id is not None and properties.cluster_id != cluster_id:
        raise Misconfigured(
            f"the directory belongs to cluster {properties.cluster_id!r}, the settings say "
            f"{cluster_id!r}: point log.dirs to the right directory"
        )
    if node_id is not None and properties.node_id != node_id:
        raise Misconfigured(
            f"the directory belongs to node {properties.node_id}, the settings say {node_id}: "
            "point log.dirs to the right directory, or correct node.id"
        )


class DirectoryLock:
    """Keeps a second process out of a real directory for as long as this one lives (flock).

    A context manager. The kernel lets go of the lock when the process ends, however it ends;
    the file stays and names the last holder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._path = Path(root) / LOCK_NAME
        self._fd = -1

    def acquire(self) -> None:
        """Misconfigured, naming the other's process id, when the directory is in use."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise Misconfigured(
                f"{self._path.parent} is in use by process {holder}: stop it first, or give "
                "each node a directory of its own"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let others in; harmless when not held."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> DirectoryLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
