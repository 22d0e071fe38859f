"""Virtual connections: order, stalls, resets, refusals and the death of a peer."""

from __future__ import annotations

from random import Random

from raftlog.testing.network import LinkQuality, VirtualNetwork
from raftlog.testing.reactor import VirtualReactor
from raftlog.testing.streams import Stream, StreamNetwork, StreamReset

ROUGH = LinkQuality(delay_min_us=100, delay_max_us=5_000, loss=0.2, slow=0.2)
PORT = 9092


class Line:
    """A client at address 1 and a server at address 2, connected."""

    def __init__(self, quality: LinkQuality = ROUGH) -> None:
        self.reactor = VirtualReactor(3)
        self.network: VirtualNetwork[int] = VirtualNetwork(self.reactor, Random(3), quality)
        self.streams: StreamNetwork[int] = StreamNetwork(self.reactor, self.network)
        self.client, self.server = self.reactor.process("c"), self.reactor.process("s")
        self.received: list[int] = []
        self.ends: list[tuple[str, bool]] = []
        self.far: list[Stream[int]] = []
        self.near: list[Stream[int] | None] = []
        self.streams.listen(2, PORT, self.server, self._accept)
        self.streams.connect(self.client, 1, 2, PORT, self._connected)
        assert self.reactor.run_until(lambda: bool(self.near and self.far))

    def _accept(self, stream: Stream[int]) -> None:
        self.far.append(stream)
        stream.on_item = self.received.append
        stream.on_closed = lambda error: self.ends.append(("server", error is not None))

    def _connected(self, stream: Stream[int] | None) -> None:
        self.near.append(stream)
        if stream is not None:
            stream.on_closed = lambda error: self.ends.append(("client", error is not None))

    @property
    def stream(self) -> Stream[int]:
        stream = self.near[0]
        assert stream is not None
        return stream

    def run(self, us: int) -> None:
        self.reactor.run_until(self.reactor.now_us() + us)


def test_items_arrive_in_order_despite_loss_and_delay() -> None:
    line = Line()
    for item in range(300):
        line.stream.send(item)
        line.run(100)
    line.run(10_000_000)
    assert line.received == list(range(300))
    assert line.stream.in_flight == 0


def test_close_delivers_what_was_sent_before() -> None:
    line = Line()
    for item in range(10):
        line.stream.send(item)
    line.stream.close()
    line.stream.send(99)
    line.run(10_000_000)
    assert line.received == list(range(10))
    assert line.ends == [("server", False)]


def test_a_short_cut_stalls_and_a_long_one_resets() -> None:
    line = Line()
    line.network.cut(1, 2)
    line.stream.send(1)
    line.run(1_000_000)
    assert line.received == []
    line.network.heal()
    line.run(1_000_000)
    assert line.received == [1]
    line.network.cut(1, 2)
    line.stream.send(2)
    line.run(20_000_000)
    assert sorted(line.ends) == [("client", True), ("server", True)]
    line.network.heal()
    line.run(10_000_000)
    assert line.received == [1]


def test_a_killed_process_resets_its_peer() -> None:
    line = Line()
    line.server.crash()
    line.streams.kill(line.server)
    line.run(1_000_000)
    assert line.ends == [("client", True)]
    assert line.streams.open_streams == 0


def test_after_a_power_loss_the_peer_learns_by_sending() -> None:
    line = Line()
    line.server.crash()
    line.run(1_000_000)
    assert line.ends == []
    line.stream.send(1)
    line.run(1_000_000)
    assert line.ends == [("client", True)]


def test_a_reset_loses_what_was_on_its_way() -> None:
    line = Line(LinkQuality(delay_min_us=1_000, delay_max_us=2_000))
    line.stream.send(1)
    line.run(5_000)
    line.stream.send(2)
    line.stream.reset()
    line.run(1_000_000)
    assert line.received == [1]
    assert len(line.ends) == 2


def test_connecting_to_nobody_is_refused() -> None:
    line = Line()
    line.streams.connect(line.client, 1, 2, 1, line._connected)
    line.run(1_000_000)
    assert line.near[1] is None
    line.network.cut(1, 2)
    line.streams.connect(line.client, 1, 2, PORT, line._connected)
    line.run(20_000_000)
    assert line.near[2] is None


def test_a_paused_receiver_gets_everything_later() -> None:
    line = Line()
    line.server.pause(line.reactor.now_us() + 3_000_000)
    for item in range(5):
        line.stream.send(item)
    line.run(2_000_000)
    assert line.received == []
    line.run(3_000_000)
    assert line.received == list(range(5))


def test_the_error_is_a_connection_error() -> None:
    assert issubclass(StreamReset, ConnectionError)
