"""Nobody fills the log with lines about himself, and what is left out is told."""

from __future__ import annotations

from structlog.testing import capture_logs

from raftlog.host.complaints import (
    ADDRESS_LINES_MAX,
    ADDRESSES_MAX,
    LINES_MAX,
    OTHERS,
    WINDOW_US,
    Complaints,
)
from raftlog.testing.reactor import VirtualReactor


def test_one_address_gets_its_lines_and_others_theirs() -> None:
    reactor = VirtualReactor(1)
    complaints = Complaints(reactor.process("broker"))
    with capture_logs() as logs:
        for number in range(10_000):
            complaints.warning("closing connection", peer=f"10.0.0.1:{number}", reason="r")
        assert len(logs) == ADDRESS_LINES_MAX
        complaints.error("request failed", peer="10.0.0.2:1", api="FETCH")
        complaints.info("closing connection", peer="10.0.0.2:2", reason="idle")
        assert logs[-2:] == [
            {"event": "request failed", "log_level": "error", "peer": "10.0.0.2:1", "api": "FETCH"},
            {
                "event": "closing connection",
                "log_level": "info",
                "peer": "10.0.0.2:2",
                "reason": "idle",
            },
        ]
        reactor.run_until(reactor.now_us() + WINDOW_US + 10)
        assert logs[-1] == {
            "event": "lines about connections left out",
            "log_level": "warning",
            "lines": 10_000 - ADDRESS_LINES_MAX,
            "addresses": 1,
            "most_from": "10.0.0.1",
            "most_lines": 10_000 - ADDRESS_LINES_MAX,
        }
        complaints.warning("closing connection", peer="10.0.0.1:1", reason="again")
        assert logs[-1]["reason"] == "again"
        reactor.run_until(reactor.now_us() + 3 * WINDOW_US)
        assert logs[-1]["reason"] == "again", "nothing was left out since"


def test_many_addresses_have_a_bound_together() -> None:
    reactor = VirtualReactor(1)
    complaints = Complaints(reactor.process("broker"))
    addresses = ADDRESSES_MAX + LINES_MAX + 500
    with capture_logs() as logs:
        for number in range(addresses):
            complaints.warning("closing connection", peer=f"10.0.{number}:1")
        assert len(logs) == LINES_MAX
        reactor.run_until(reactor.now_us() + WINDOW_US + 10)
    (summary,) = logs[LINES_MAX:]
    assert summary["lines"] == addresses - LINES_MAX
    assert summary["addresses"] == ADDRESSES_MAX + 1
    assert (summary["most_from"], summary["most_lines"]) == (OTHERS, 500)
