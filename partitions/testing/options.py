"""What a seed decides about a run, apart from when things happen."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from raftlog.testing.network import LinkQuality

KIB = 1024


class Options(NamedTuple):
    """One run. Few kinds of trouble in one, all kinds over many."""

    seed: int
    scenario: str
    padding_bytes_max: int = 0
    """Records carry up to this many bytes more than their name."""
    segment_bytes: int = 1024 * KIB
    """Of the topic: small segments roll, and are found again after a crash."""
    wire: LinkQuality = LinkQuality()
    """Of every link."""

    @classmethod
    def draw(cls, seed: int, scenario: str) -> Options:
        """The options of a seed."""
        random = Random(f"options/{scenario}/{seed}")
        padding = random.choice((0, 0, 200, 3_000, 30_000))
        segment = random.choice((2, 16, 128, 1024)) * KIB
        wires = (LinkQuality(), LinkQuality(loss=0.01), LinkQuality(slow=0.02), SLOW)
        return cls(seed, scenario, padding, segment, random.choice(wires))


SLOW = LinkQuality(delay_min_us=5_000, delay_max_us=20_000)
"""Far apart: a round trip takes a fair part of a heartbeat interval."""
