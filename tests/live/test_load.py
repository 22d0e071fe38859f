"""The load itself: a test that fails beside it ends with its own error."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from tests.live.load import PATIENCE_S, loading
from tests.live.waiting import wait_for

IN_FLIGHT = 10


class Nobody:
    """In place of a cluster: an address where nothing answers."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.bootstrap = f"{address[0]}:{address[1]}"


def test_a_failure_while_no_broker_serves_is_what_the_block_ends_with() -> None:
    """Before, the records in flight were waited for, and their having no fate was the error."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = cast("Any", Nobody(silent.getsockname()))
        with (
            pytest.raises(AssertionError, match="the reason"),
            loading(cluster, "t", in_flight=IN_FLIGHT) as load,
        ):
            seen.append(load)
            wait_for(lambda: load.sent == IN_FLIGHT, PATIENCE_S, "a full queue")
            raise AssertionError("the reason")
    assert not seen[0]._thread.is_alive()
    assert len(seen[0].failures) == IN_FLIGHT, "all were given up"
    assert seen[0].delivered == []
