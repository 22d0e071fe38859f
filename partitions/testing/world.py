"""What the actors of one simulated cluster share, and how they name places in it."""

from __future__ import annotations

from random import Random

from crc32c import crc32c

from raftlog.testing.network import VirtualNetwork
from raftlog.testing.reactor import VirtualReactor
from raftlog.testing.streams import Stream, StreamNetwork
from raftlog.testing.trace import Trace

PEER_PORT = 9093
KAFKA_PORT = 9092
LISTENER = "PLAINTEXT"
GIVE_UP_US = 2_000_000
"""A connection over a cut link resets after this long, well above an election."""
_SPLIT = 0.125


class World:
    """Time, wires and the record of what happened. Addresses: a broker's is its node id."""

    def __init__(self, seed: int, *, whole_trace: bool = True) -> None:
        self.seed = seed
        self.reactor = VirtualReactor(f"brokers/{seed}")
        self.random = Random(f"world/{seed}")
        self.network: VirtualNetwork[bytes] = VirtualNetwork(
            self.reactor, Random(f"network/{seed}")
        )
        self.streams: StreamNetwork[bytes] = StreamNetwork(
            self.reactor, self.network, give_up_us=GIVE_UP_US
        )
        self.trace = Trace(whole=whole_trace)
        self.resting = False
        """Producers write nothing for now: groups fall asleep."""
        self._leaders: dict[tuple[int, int], int] = {}

    def note(self, address: int, word: str, *details: object) -> None:
        """Add an event to the trace; `address` -1 is the simulation itself."""
        self.trace.add((self.reactor.now_us(), address, word, *details))

    def note_frame(self, address: int, word: str, source: int, frame: bytes | memoryview) -> None:
        """Add a frame that arrived at `address`: its length and checksum stand for it."""
        self.note(address, word, source, len(frame), f"{crc32c(frame):08x}")

    def note_leader(self, address: int, group: int, term: int, node: int) -> None:
        """`address` says that `node` leads. Asserts that a term never has two leaders."""
        self.note(address, "leader", group, term, node)
        known = self._leaders.setdefault((group, term), node)
        assert known == node, f"group {group} has two leaders in term {term}: {known} and {node}"

    def send(self, stream: Stream[bytes], data: bytes) -> None:
        """Send bytes as TCP would: the receiver may see them in pieces."""
        if len(data) > 1 and self.random.random() < _SPLIT:
            cut = self.random.randrange(1, len(data))
            stream.send(data[:cut])
            stream.send(data[cut:])
        else:
            stream.send(data)


def host_of(node: int) -> str:
    """The host name that broker `node` advertises."""
    return f"broker{node}"


def node_of(host: str) -> int:
    """The broker whose host name is `host`."""
    return int(host.removeprefix("broker"))
