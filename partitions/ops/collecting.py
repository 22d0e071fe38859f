"""All rows of a broker, section by section: a section is a function from what was seen to rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from partitions.errors import ErrorCode
from partitions.ops import groups, process
from partitions.ops.exposition import Row, Rows, one, pieces
from partitions.ops.health import verdict
from partitions.ops.sources import Copy, Sources, Survey, survey
from partitions.replicas.traffic import Traffic
from raftlog.types import METADATA_GROUP


def scrape(sources: Sources, *, openmetrics: bool) -> Iterator[bytes]:
    """A scrape's text, in pieces between which others may have their turn."""
    return pieces(collect(sources), openmetrics=openmetrics)


def collect(sources: Sources) -> Iterator[Rows | None]:
    """Every metric's rows; None where others may have their turn."""
    seen, seen_groups = Survey(), groups.GroupSurvey()
    yield from survey(sources, seen)
    yield from groups.survey_groups(sources, seen_groups)
    yield from _requests(sources)
    yield from _front(sources)
    yield from _traffic(seen)
    yield from _counts(sources, seen)
    left_out = {**seen.left_out, **seen_groups.left_out}
    yield Rows(
        "quorate_metrics_rows_left_out",
        lambda: [((what,), count) for what, count in left_out.items()],
    )
    yield from _copies(seen)
    yield from _led(sources, seen)
    yield from groups.rows(seen_groups)
    yield from _consensus(sources)
    yield from _wal(sources)
    yield from _cluster(sources)
    yield from _state(sources)
    yield from process.rows(sources.cluster_id, sources.node)


def _requests(sources: Sources) -> Iterator[Rows]:
    apis = sources.requests.statistics()

    def of_each(value: str) -> list[Row]:
        return [((api,), getattr(counters, value)) for api, counters in apis.items()]

    yield Rows("quorate_requests_total", lambda: of_each("requests"))
    yield Rows(
        "quorate_request_errors_total",
        lambda: [
            ((api, error_name(code)), count)
            for api, counters in apis.items()
            for code, count in sorted(counters.errors.items())
        ],
    )
    yield Rows(
        "quorate_request_duration_seconds",
        lambda: [((api,), counters.latency_us.statistics()) for api, counters in apis.items()],
    )
    yield Rows("quorate_request_bytes_total", lambda: of_each("bytes_in"))
    yield Rows("quorate_response_bytes_total", lambda: of_each("bytes_out"))
    for api in ("Produce", "Fetch"):
        counters = apis.get(api)
        name = f"kafka_server_brokertopicmetrics_{{}}{api.lower()}requests_total"
        yield one(name.format("total"), counters.requests if counters else 0)
        yield one(name.format("failed"), sum(counters.errors.values()) if counters else 0)


def error_name(code: int) -> str:
    """Kafka's name of an error code, or the number of one that we have no name for."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)


def _front(sources: Sources) -> Iterator[Rows]:
    front = sources.front()
    yield one("quorate_connections", front.connections)
    yield one("quorate_connections_accepted_total", front.accepted)
    yield one("quorate_requests_in_flight", front.in_flight)
    yield one("quorate_request_budget_used_bytes", front.requests_bytes)
    yield one("quorate_request_budget_waiting_connections", front.waiting)
    yield one("quorate_response_budget_used_bytes", front.responses_bytes)
    yield one("quorate_response_budget_limit_bytes", front.responses_limit_bytes)


def _traffic(seen: Survey) -> Iterator[Rows]:
    def by_topic(counter: str) -> list[Row]:
        return [((topic,), getattr(t, counter)) for topic, t in seen.topics.items()]

    def with_total(counter: str) -> list[Row]:
        return [(("",), getattr(seen.total, counter)), *by_topic(counter)]

    for counter in Traffic.__slots__:
        name = counter.replace("bytes", "batch_bytes")
        yield one(f"quorate_{name}_total", getattr(seen.total, counter))
        yield Rows(f"quorate_topic_{name}_total", partial(by_topic, counter))
    for name, counter in (
        ("messagesin", "messages_in"),
        ("bytesin", "bytes_in"),
        ("bytesout", "bytes_out"),
    ):
        yield Rows(
            f"kafka_server_brokertopicmetrics_{name}_total",
            partial(with_total, counter),
        )


def _counts(sources: Sources, seen: Survey) -> Iterator[Rows]:
    yield one("quorate_partitions", seen.held + len(sources.manager.offline))
    yield one("quorate_partitions_led", seen.led)
    yield one("quorate_partitions_under_replicated", seen.under_replicated)
    yield one("quorate_partitions_under_min_isr", seen.under_min_isr)
    yield one("quorate_replicas_offline", len(sources.manager.offline))


def _of_copies(name: str, copies: list[Copy], value: str) -> Rows:
    return Rows(
        name, lambda: (((c.topic, str(c.partition)), int(getattr(c, value))) for c in copies)
    )


def _copies(seen: Survey) -> Iterator[Rows]:
    for name, value in (
        ("quorate_partition_leader", "leads"),
        ("quorate_partition_leader_epoch", "epoch"),
        ("quorate_partition_high_watermark", "high_watermark"),
        ("quorate_partition_log_start_offset", "start"),
        ("quorate_partition_log_end_offset", "end"),
        ("quorate_partition_size_bytes", "size"),
    ):
        yield _of_copies(name, seen.copies, value)


def _led(sources: Sources, seen: Survey) -> Iterator[Rows]:
    led = [copy for copy in seen.copies if copy.leads]
    yield Rows(
        "quorate_replica_lag_entries",
        lambda: (
            ((c.topic, str(c.partition), str(node)), lag) for c in led for node, lag in c.lags
        ),
    )
    name = "kafka_topic_partition_{}".format
    yield _of_copies(name("current_offset"), led, "high_watermark")
    yield _of_copies(name("oldest_offset"), led, "start")
    yield Rows(name("leader"), lambda: (((c.topic, str(c.partition)), sources.node) for c in led))
    yield _of_copies(name("leader_is_preferred"), led, "preferred")
    yield _of_copies(name("replicas"), led, "assigned")
    yield _of_copies(name("in_sync_replica"), led, "in_sync")
    yield Rows(
        name("under_replicated_partition"),
        lambda: (((c.topic, str(c.partition)), int(c.in_sync < c.assigned)) for c in led),
    )


def _consensus(sources: Sources) -> Iterator[Rows]:
    engine = sources.engine.statistics()
    yield one("quorate_raft_groups", engine.groups)
    yield one("quorate_raft_groups_led", engine.leading)
    yield one("quorate_raft_groups_sleeping", engine.sleeping)
    yield one("quorate_raft_elections_total", engine.elections)
    yield one("quorate_raft_leaderships_total", engine.leaderships)
    yield one("quorate_raft_frames_received_total", engine.frames_in)
    yield one("quorate_raft_frames_sent_total", engine.frames_out)
    yield one("quorate_engine_passes_total", engine.passes)
    yield one("quorate_wal_sync_seconds", engine.sync_us)
    yield one("quorate_wal_rounds_synced_in_place_total", engine.rounds_in_place)


def _wal(sources: Sources) -> Iterator[Rows]:
    wal = sources.engine.wal.statistics()
    yield one("quorate_wal_rounds_total", wal.rounds)
    yield one("quorate_wal_written_bytes_total", wal.bytes)
    yield one("quorate_wal_unsynced_bytes", wal.unsynced_bytes)
    yield one("quorate_wal_parts", wal.parts)
    yield one("quorate_wal_parts_bytes", wal.part_bytes_used)
    yield one("quorate_wal_spares", wal.spares)
    yield one("quorate_wal_rolls_total", wal.rolls)
    yield one("quorate_wal_rolls_without_spare_total", wal.rolls_without_spare)


def _cluster(sources: Sources) -> Iterator[Rows]:
    image = sources.metadata.image
    live = {broker.node for broker in image.unfenced()}
    active = sources.controller_active()
    yield one("quorate_controller_active", int(active))
    yield one("quorate_brokers_active", len(live))
    yield one("quorate_brokers_fenced", len(image.brokers) - len(live))
    yield one("quorate_cluster_topics", len(image.topics))
    yield one("quorate_cluster_partitions", len(image.groups))
    leaders = (sources.leader(group) for group in image.groups) if active else ()
    missing = sum(leader is None or leader.node not in live for leader in leaders)
    yield one("quorate_cluster_partitions_offline", missing)
    yield one("quorate_metadata_applied_index", image.position.index)
    log = sources.engine.groups.get(METADATA_GROUP)
    yield Rows(
        "quorate_metadata_last_index", lambda: [] if log is None else [((), log.node.last_index)]
    )
    state = sources.metadata.state
    leader = None if state is None else state.leader
    yield one("quorate_metadata_term", 0 if state is None else state.term)
    yield one("quorate_metadata_controller", -1 if leader is None else leader.node)


def _state(sources: Sources) -> Iterator[Rows]:
    facts = sources.facts()
    yield one("quorate_ready", int(verdict(facts).ready))
    yield one("quorate_disk_nearly_full", int(facts.disk_nearly_full))
