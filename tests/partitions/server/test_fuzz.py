"""Frames of every kind that a client may get wrong, into one session after the other."""

from __future__ import annotations

import struct
from collections import Counter

import pytest
from structlog.testing import capture_logs

from partitions import wire
from partitions.api import APIS
from partitions.server import RequestBudget
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices
from tests.partitions.server.hostile import Hostile

FRAMES = 4000
ANSWER_BYTES_MAX = 200_000
A_WHILE_US = 150_000_000


@pytest.mark.parametrize("seed", [1, 2])
def test_no_frame_does_more_than_end_its_own_connection(seed: int) -> None:
    services = FakeServices()
    replica = services.add_topic("fuzz", 3)[0]
    replica.store(5)
    room = RequestBudget(1 << 28)
    other = Client(services, room=room)
    kinds: Counter[tuple[str, bool]] = Counter()
    reached: set[tuple[int, int]] = set()
    hostile = Hostile(seed, ("fuzz",), (replica.topic_id,))
    with capture_logs() as logs:
        for kind, frame in hostile.frames(FRAMES):
            client = Client(services, room=room)
            client.feed(frame)
            services.reactor.advance(1000)
            settle(services)
            if client.session._requests:
                reached.add(struct.unpack_from(">hh", frame, 4))
            answer = b"".join(client.session.take_output())
            assert len(answer) <= ANSWER_BYTES_MAX, kind
            assert client.log.errors == [], (kind, frame.hex())
            assert len(client.log.warnings) == (client.session.close_reason is not None)
            kinds[kind, client.session.close_reason is None] += 1
            client.session.close()
    services.reactor.advance(A_WHILE_US)
    settle(services)
    assert logs == []
    assert room.statistics() == (0, 0, 0)
    assert services.response_budget.used == 0
    assert other.ask(18, 0, wire.messages(18).ApiVersionsRequest()).error_code == 0
    check_reach(kinds, reached)


def settle(services: FakeServices) -> None:
    """Whatever was forwarded or appended is never answered, but for commits."""
    for replica in services.replicas.values():
        replica.commit()
        del replica.batches[50:]


def check_reach(kinds: Counter[tuple[str, bool]], reached: set[tuple[int, int]]) -> None:
    """Is the generator any good? Every kind, answered and refused, and nearly every version."""
    assert len({kind for kind, _ in kinds}) == 9
    # A Produce that nobody answers (acks=0) and that fails ends its connection, as in Kafka.
    assert kinds["valid", False] + kinds["odd", False] < 0.05 * kinds["valid", True]
    assert all(kinds[kind, False] > 50 for kind in ("bits", "lengths", "version", "noise", "tail"))
    served = {(int(api.key), v) for api in APIS for v in range(api.first, api.last + 1)}
    assert len(reached & served) > 0.9 * len(served)
