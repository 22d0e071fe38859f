"""What one seed's run consists of. Swarm testing: every seed draws its own subset of faults.

A run that has every fault all the time explores less than many runs with few: with crashes
every 100 ms nothing ever gets far enough to be lost (Groce et al., "Swarm Testing", 2012).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from raftlog.core.timing import Timing
from raftlog.testing.network import LinkQuality

FAULTS = (
    "crash",
    "crash_point",
    "crash_all",
    "partition",
    "one_way",
    "isolate_leader",
    "bridge",
    "weather",
    "pause",
    "slow_disk",
    "transfer",
    "snapshot",
    "campaign",
    "coup",
    "flapping",
    "membership",
)
"""Every kind of fault the nemesis knows."""

DISK_FAULTS = ("power_cut", "disk_error")
"""Those that only a disk of many calls can have."""

FULL_DISK = "disk_full"
BIT_ROT = "bit_rot"
"""Costs the run a replica for good: only where a majority is left, and nobody changes members."""

SIEGE = "siege"
"""Where leases are tried; see `raftlog.testing.siege`."""

ALL_FAULTS = (*FAULTS, *DISK_FAULTS, FULL_DISK, BIT_ROT, SIEGE)

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """One run. Times are virtual microseconds, probabilities 0..1."""

    seed: int
    nodes: int = 3
    """Founding voters."""
    spares: int = 0
    """Replicas that no one has made members yet."""
    fault_phase_us: int = 10 * SECOND_US
    """How long the nemesis is at work; healing and convergence follow."""
    converge_within_us: int = 10 * SECOND_US
    """The healed cluster must have a leader, commit and agree within this time."""
    writes_per_s: int = 100
    clients: int = 6
    read_share: float = 0.2
    payload_bytes: int = 16
    faults: tuple[str, ...] = ()
    fault_every_us: int = 600_000
    """Mean time between faults."""
    quality: LinkQuality = LinkQuality()
    timing: Timing = Timing()
    pass_us: int = 0
    """A host collects events for up to this long before it takes a Ready; 0: after each event."""
    wire: bool = False
    """Messages go through the peer codec."""
    write_first: bool = True
    """Order of the two independent steps, storage and sending."""
    snapshot_every: int = 0
    """Take a snapshot when this many entries have been applied since the last; 0: never."""
    chunk_bytes: int = 1024
    drift_ppm: int = 0
    """Clocks differ by up to this much, both ways."""
    sync_min_us: int = 100
    sync_max_us: int = 400
    disk: str = "model"
    """`model` for the storage model, `wal` for the real write-ahead log on a virtual disk."""

    @staticmethod
    def draw(seed: int, *, seconds: float = 10, disk: str = "mixed") -> Options:
        """The options that belong to `seed`; `mixed` gives every third one the real disk code."""
        if disk == "mixed":
            disk = "model" if seed % 3 else "wal"
        random = Random(f"options/{seed}")
        chosen = random.sample(FAULTS, random.randint(0, 6))
        if disk == "wal":
            chosen += Random(f"disk faults/{seed}").choice((["power_cut"], [*DISK_FAULTS], []))
            if Random(f"full disk/{seed}").random() < 0.4:
                chosen.append(FULL_DISK)
        quick = random.random() < 0.5
        nodes = random.choice((3, 3, 3, 5))
        size = Random(f"size/{seed}")
        if size.random() < 0.1:
            nodes = size.choice((1, 2, 4))  # where quorums are strange
        drift_ppm = random.choice((0, 200, 50_000))
        if disk == "wal" and "membership" not in chosen and nodes > 2:
            if Random(f"rot/{seed}").random() < 0.4:
                chosen.append(BIT_ROT)
        leases = size.random() < 0.3
        options = Options(
            seed=seed,
            nodes=nodes,
            spares=2 if "membership" in chosen else 0,
            fault_phase_us=round(seconds * SECOND_US),
            faults=tuple(fault for fault in ALL_FAULTS if fault in chosen),
            fault_every_us=random.choice((150_000, 400_000, 1_000_000)),
            quality=_draw_quality(random),
            timing=Timing(
                heartbeat_us=25_000 if quick else 50_000,
                election_min_us=100_000 if quick else 300_000,
                election_max_us=200_000 if quick else 600_000,
                max_inflight_messages=random.choice((1, 4, 64)),
                max_inflight_bytes=random.choice((64, 4096, 1 << 20)),
                max_append_bytes=random.choice((32, 1024, 1 << 20)),
                max_uncommitted_bytes=random.choice((64, 1 << 20)),
                eager_commit=random.random() < 0.5,
                clock_drift_ppm=max(drift_ppm, 100),
            ),
            pass_us=random.choice((0, 0, 200, 2_000)),
            wire=random.random() < 0.15,
            write_first=random.random() < 0.5,
            snapshot_every=random.choice((0, 7, 60, 300)),
            chunk_bytes=random.choice((64, 1024, 1 << 20)),
            drift_ppm=drift_ppm,
            sync_min_us=100,
            sync_max_us=random.choice((400, 5_000, 30_000)),
            disk=disk,
            # rounds that span sectors and pages are torn in more ways
            payload_bytes=size.choice((16, 16, 16, 2000)) if disk == "wal" else 16,
        )
        return _with_leases(options) if leases else options


def _with_leases(options: Options) -> Options:
    """The same with reads by lease, under what puts a lease to the test."""
    random = Random(f"leases/{options.seed}")
    chosen = {*options.faults, "coup", "transfer", SIEGE}
    drift_ppm = random.choice((0, 50_000, 200_000))
    quick_disks = random.random() < 0.5  # for elections as close to a lease as can be
    return replace(
        options,
        faults=tuple(fault for fault in ALL_FAULTS if fault in chosen),
        timing=options.timing._replace(lease_reads=True, clock_drift_ppm=max(drift_ppm, 100)),
        read_share=0.6,
        drift_ppm=drift_ppm,
        sync_max_us=400 if quick_disks else options.sync_max_us,
    )


def _draw_quality(random: Random) -> LinkQuality:
    if random.random() < 0.3:
        return LinkQuality()
    return LinkQuality(
        delay_min_us=50,
        delay_max_us=random.choice((500, 5_000, 20_000)),
        loss=random.choice((0.0, 0.01, 0.1)),
        duplicate=random.choice((0.0, 0.02)),
        slow=random.choice((0.0, 0.05)),
    )
