"""A job at an interval that may change."""

from __future__ import annotations

from partitions.server.every import Every
from tests.partitions.api.fakes import ManualReactor

HOUR_US = 3_600_000_000


class Rig:
    """Counts what is done."""

    def __init__(self) -> None:
        self.reactor = ManualReactor()
        self.interval_us = HOUR_US
        self.done = 0
        self.every = Every(self.reactor, lambda: self.interval_us, self._do)

    def _do(self) -> None:
        self.done += 1

    def change(self, interval_us: int) -> None:
        self.interval_us = interval_us
        self.every.interval_changed()


def test_it_is_done_at_the_start_and_after_every_interval() -> None:
    rig = Rig()
    rig.change(HOUR_US)
    rig.reactor.advance(3 * HOUR_US)
    assert rig.done == 0, "not started"
    rig.every.start()
    assert rig.done == 1
    rig.reactor.advance(3 * HOUR_US)
    assert rig.done == 4
    assert rig.reactor.armed == 1


def test_a_shorter_interval_does_not_wait_for_the_end_of_the_long_one() -> None:
    rig = Rig()
    rig.every.start()
    rig.change(1_000_000)
    rig.reactor.advance(3_000_000)
    assert rig.done == 4
    assert rig.reactor.armed == 1


def test_other_changes_do_not_put_it_off() -> None:
    rig = Rig()
    rig.every.start()
    for _ in range(8):
        rig.reactor.advance(HOUR_US // 4)
        rig.change(HOUR_US)
    assert rig.done == 3
