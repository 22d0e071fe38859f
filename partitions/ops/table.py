"""Every metric that a broker gives: the one place where names, labels and meanings are written.

A scrape writes what is here and nothing else, and docs/metrics.md is this table. Names are
quorate's own; where dashboards know another name for the same thing, that of the usual exporters
of Kafka's figures, it is there too, as an alias with the same rows.
"""

from __future__ import annotations

from types import MappingProxyType

from partitions.ops.metric import Kind, Metric, Section
from partitions.ops.metric import alias as _alias

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_PARTITION = ("topic", "partition")

_REQUESTS = Metric(
    "quorate_requests_total", _C, ("api",), "Requests taken in, those without an answer included."
)
_ERRORS = Metric(
    "quorate_request_errors_total",
    _C,
    ("api", "error"),
    "Error codes that responses told, by Kafka's name; one response may tell many.",
)

REQUESTS = Section(
    "Requests and connections",
    (
        _REQUESTS,
        _ERRORS,
        Metric(
            "quorate_request_duration_seconds",
            _H,
            ("api",),
            "From a request's last byte until its response is ready, waiting for commits and "
            "the waits that clients ask for included.",
        ),
        Metric(
            "quorate_request_bytes_total", _C, ("api",), "Bytes of requests, size prefixes apart."
        ),
        Metric("quorate_response_bytes_total", _C, ("api",), "Bytes of responses."),
        Metric("quorate_connections", _G, (), "Connections of clients."),
        Metric("quorate_connections_accepted_total", _C, (), "Connections of clients so far."),
        Metric("quorate_requests_in_flight", _G, (), "Requests whose response is not known yet."),
        Metric(
            "quorate_request_budget_used_bytes",
            _G,
            (),
            "Bytes of requests that are incomplete or unanswered, of queued.max.request.bytes.",
        ),
        Metric(
            "quorate_request_budget_waiting_connections",
            _G,
            (),
            "Connections that are not read from because the budget has no room for their frame.",
        ),
        Metric("quorate_response_budget_used_bytes", _G, (), "Bytes of responses not yet sent."),
        Metric("quorate_response_budget_limit_bytes", _G, (), "The most that those should be."),
        _alias("kafka_network_requestmetrics_requests_total", _REQUESTS, ("request",)),
        _alias("kafka_network_requestmetrics_errors_total", _ERRORS, ("request", "error")),
        Metric(
            "kafka_server_brokertopicmetrics_totalproducerequests_total",
            _C,
            (),
            "Produce requests.",
        ),
        Metric(
            "kafka_server_brokertopicmetrics_totalfetchrequests_total", _C, (), "Fetch requests."
        ),
        Metric(
            "kafka_server_brokertopicmetrics_failedproducerequests_total",
            _C,
            (),
            "Errors told in Produce responses: one for each partition refused.",
        ),
        Metric(
            "kafka_server_brokertopicmetrics_failedfetchrequests_total",
            _C,
            (),
            "Errors told in Fetch responses: one for each partition refused.",
        ),
    ),
)

TRAFFIC = Section(
    "What producers bring and consumers take",
    (
        Metric("quorate_batches_in_total", _C, (), "Batches appended by leaders here."),
        Metric("quorate_messages_in_total", _C, (), "Messages in them."),
        Metric("quorate_batch_bytes_in_total", _C, (), "Bytes of them, as they lie on the disk."),
        Metric("quorate_reads_total", _C, (), "Partitions read for consumers, something found."),
        Metric("quorate_batch_bytes_out_total", _C, (), "Bytes of batches read for consumers."),
        Metric("quorate_topic_batches_in_total", _C, ("topic",), "Batches appended, by topic."),
        Metric("quorate_topic_messages_in_total", _C, ("topic",), "Messages in them."),
        Metric("quorate_topic_batch_bytes_in_total", _C, ("topic",), "Bytes of them."),
        Metric("quorate_topic_reads_total", _C, ("topic",), "Reads that found something."),
        Metric("quorate_topic_batch_bytes_out_total", _C, ("topic",), "Bytes read for consumers."),
        Metric(
            "kafka_server_brokertopicmetrics_messagesin_total",
            _C,
            ("topic",),
            "Messages appended: by topic, and without the label all of them.",
        ),
        Metric(
            "kafka_server_brokertopicmetrics_bytesin_total",
            _C,
            ("topic",),
            "Bytes of batches appended, likewise.",
        ),
        Metric(
            "kafka_server_brokertopicmetrics_bytesout_total",
            _C,
            ("topic",),
            "Bytes of batches read for consumers, likewise.",
        ),
    ),
)

_COPIES = Metric("quorate_partitions", _G, (), "Partitions that this broker holds a copy of.")
_LEADERS = Metric("quorate_partitions_led", _G, (), "Partitions that this broker leads.")
_UNDER_REPLICATED = Metric(
    "quorate_partitions_under_replicated",
    _G,
    (),
    "Partitions led here that some assigned replica does not keep up with: it is not connected, "
    "offline, or is being brought up to date.",
)
_UNDER_MIN_ISR = Metric(
    "quorate_partitions_under_min_isr",
    _G,
    (),
    "Partitions led here with fewer replicas in sync than min.insync.replicas.",
)
_OFFLINE = Metric(
    "quorate_replicas_offline", _G, (), "Copies on this broker that are out of service."
)
_START = Metric(
    "quorate_partition_log_start_offset", _G, _PARTITION, "First offset that was not deleted."
)
_END = Metric(
    "quorate_partition_log_end_offset", _G, _PARTITION, "Next offset to be given, on this copy."
)
_SIZE = Metric("quorate_partition_size_bytes", _G, _PARTITION, "Bytes of batches, on this copy.")

PARTITIONS = Section(
    "Partitions",
    (
        _COPIES,
        _LEADERS,
        _UNDER_REPLICATED,
        _UNDER_MIN_ISR,
        _OFFLINE,
        Metric("quorate_partition_leader", _G, _PARTITION, "1 where this broker leads, else 0."),
        Metric(
            "quorate_partition_leader_epoch",
            _G,
            _PARTITION,
            "The Raft term that this copy is in, which is the leader epoch.",
        ),
        Metric(
            "quorate_partition_high_watermark",
            _G,
            _PARTITION,
            "End of what is committed, as this copy knows it.",
        ),
        _START,
        _END,
        _SIZE,
        Metric(
            "quorate_replica_lag_entries",
            _G,
            (*_PARTITION, "replica"),
            "Partitions led here: entries (batches, mostly) that the broker `replica` is not "
            "known to hold durably.",
        ),
        Metric(
            "quorate_metrics_rows_left_out",
            _G,
            ("of",),
            "Partitions, topics, groups and committed offsets (of the groups that have rows) that "
            "have no rows of their own here, because there are too many. What is summed up over "
            "all of them counts them.",
        ),
        _alias("kafka_server_replicamanager_partitioncount", _COPIES),
        _alias("kafka_server_replicamanager_leadercount", _LEADERS),
        _alias("kafka_server_replicamanager_underreplicatedpartitions", _UNDER_REPLICATED),
        _alias("kafka_server_replicamanager_underminisrpartitioncount", _UNDER_MIN_ISR),
        _alias("kafka_server_replicamanager_offlinereplicacount", _OFFLINE),
        _alias("kafka_log_log_logstartoffset", _START),
        _alias("kafka_log_log_logendoffset", _END),
        _alias("kafka_log_log_size", _SIZE),
        Metric(
            "kafka_topic_partition_current_offset",
            _G,
            _PARTITION,
            "Partitions led here: the high watermark. This and what follows is given by the "
            "leader only, so that over all brokers each partition appears once.",
        ),
        Metric("kafka_topic_partition_oldest_offset", _G, _PARTITION, "The log start offset."),
        Metric("kafka_topic_partition_leader", _G, _PARTITION, "The leader's node id."),
        Metric(
            "kafka_topic_partition_leader_is_preferred",
            _G,
            _PARTITION,
            "1 if the leader is the first replica of the assignment.",
        ),
        Metric("kafka_topic_partition_replicas", _G, _PARTITION, "Replicas assigned."),
        Metric("kafka_topic_partition_in_sync_replica", _G, _PARTITION, "Replicas in sync."),
        Metric(
            "kafka_topic_partition_under_replicated_partition",
            _G,
            _PARTITION,
            "1 if fewer are in sync than assigned.",
        ),
    ),
)

CONSENSUS = Section(
    "Raft and the write-ahead log",
    (
        Metric("quorate_raft_groups", _G, (), "Raft groups: partitions, and the metadata's."),
        Metric("quorate_raft_groups_led", _G, (), "Of them, led here."),
        Metric(
            "quorate_raft_groups_sleeping", _G, (), "Of them, at rest: no timer looks after them."
        ),
        Metric("quorate_raft_elections_total", _C, (), "Elections begun by groups here."),
        Metric(
            "quorate_raft_leaderships_total",
            _C,
            (),
            "Leaderships won by groups here; over all brokers, the changes of leaders.",
        ),
        Metric("quorate_raft_frames_received_total", _C, (), "Frames from other brokers."),
        Metric("quorate_raft_frames_sent_total", _C, (), "Frames to other brokers."),
        Metric("quorate_engine_passes_total", _C, (), "Turns of the loop that had work."),
        Metric(
            "quorate_wal_sync_seconds", _H, (), "How long each sync of the write-ahead log took."
        ),
        Metric("quorate_wal_rounds_total", _C, (), "Rounds written; several may share a sync."),
        Metric(
            "quorate_wal_rounds_synced_in_place_total",
            _C,
            (),
            "Syncs that ran on the loop, small and on a fast disk, not on the storage thread.",
        ),
        Metric("quorate_wal_written_bytes_total", _C, (), "Bytes of rounds."),
        Metric("quorate_wal_unsynced_bytes", _G, (), "Bytes written that are not durable yet."),
        Metric("quorate_wal_parts", _G, (), "Files that hold what may be needed."),
        Metric("quorate_wal_parts_bytes", _G, (), "Bytes used in them."),
        Metric("quorate_wal_spares", _G, (), "Files in waiting, allocated."),
        Metric("quorate_wal_rolls_total", _C, (), "Files begun."),
        Metric(
            "quorate_wal_rolls_without_spare_total",
            _C,
            (),
            "Files begun without a spare: their syncs take longer.",
        ),
    ),
)

_ACTIVE = Metric("quorate_controller_active", _G, (), "1 on the broker that is the controller.")
_BROKERS = Metric(
    "quorate_brokers_active", _G, (), "Brokers registered and alive, as this one knows."
)
_FENCED = Metric("quorate_brokers_fenced", _G, (), "Brokers registered and taken for dead.")
_TOPICS = Metric("quorate_cluster_topics", _G, (), "Topics of the cluster.")
_PARTITIONS = Metric("quorate_cluster_partitions", _G, (), "Partitions of the cluster.")
_LEADERLESS = Metric(
    "quorate_cluster_partitions_offline",
    _G,
    (),
    "Partitions without a living leader, as the controller sees it; 0 on the other brokers.",
)

CLUSTER = Section(
    "Cluster and metadata",
    (
        _ACTIVE,
        _BROKERS,
        _FENCED,
        _TOPICS,
        _PARTITIONS,
        _LEADERLESS,
        Metric("quorate_metadata_applied_index", _G, (), "Last metadata entry in the image here."),
        Metric(
            "quorate_metadata_last_index", _G, (), "Last entry of the metadata log; voters only."
        ),
        Metric("quorate_metadata_term", _G, (), "The metadata quorum's term, as known here."),
        Metric(
            "quorate_metadata_controller", _G, (), "The controller's node id; -1: none is known."
        ),
        Metric("quorate_ready", _G, (), "1 while /readyz says yes."),
        Metric("quorate_disk_nearly_full", _G, (), "1 while writes are refused for want of space."),
        _alias("kafka_controller_kafkacontroller_activecontrollercount", _ACTIVE),
        _alias("kafka_controller_kafkacontroller_activebrokercount", _BROKERS),
        _alias("kafka_controller_kafkacontroller_fencedbrokercount", _FENCED),
        _alias("kafka_controller_kafkacontroller_globaltopiccount", _TOPICS),
        _alias("kafka_controller_kafkacontroller_globalpartitioncount", _PARTITIONS),
        _alias("kafka_controller_kafkacontroller_offlinepartitionscount", _LEADERLESS),
        _alias("kafka_brokers", _BROKERS),
    ),
)

_MEMBERS = Metric(
    "quorate_group_members", _G, ("group",), "Members of a group; 0 for one that only has offsets."
)
_OFFSET = Metric(
    "quorate_group_committed_offset",
    _G,
    ("group", *_PARTITION),
    "The next offset that the group will read, as it has committed.",
)
_LAG = Metric(
    "quorate_group_lag",
    _G,
    ("group", *_PARTITION),
    "From there to the high watermark. It has no row where the coordinator's broker holds no copy "
    "of the partition, and may be a little small where it does not lead it: "
    "`kafka_topic_partition_current_offset` of the leader less the committed offset is exact.",
)
_CONSUMER = ("consumergroup", *_PARTITION)

GROUPS = Section(
    "Consumer groups",
    (
        Metric(
            "quorate_group_coordinators",
            _G,
            ("state",),
            "Partitions of `__consumer_offsets` whose groups this broker speaks for: `loading` "
            "while it reads their log, `active`, or `failed` if the log cannot be read.",
        ),
        Metric(
            "quorate_groups",
            _G,
            (),
            "Groups that this broker speaks for. This and what follows is given by a group's "
            "coordinator only, so that over all brokers each group appears once.",
        ),
        _MEMBERS,
        _OFFSET,
        _LAG,
        _alias("kafka_consumergroup_members", _MEMBERS, ("consumergroup",)),
        _alias("kafka_consumergroup_current_offset", _OFFSET, _CONSUMER),
        _alias("kafka_consumergroup_lag", _LAG, _CONSUMER),
    ),
)

PROCESS = Section(
    "Process",
    (
        Metric("process_cpu_seconds_total", _C, (), "CPU time of this process."),
        Metric("process_resident_memory_bytes", _G, (), "Memory that is resident."),
        Metric("process_virtual_memory_bytes", _G, (), "Address space."),
        Metric("process_open_fds", _G, (), "Open file descriptors."),
        Metric("process_max_fds", _G, (), "The most there may be."),
        Metric("process_start_time_seconds", _G, (), "When it started, since 1970."),
        Metric("python_gc_collections_total", _C, ("generation",), "Runs of the collector."),
        Metric("python_gc_objects_collected_total", _C, ("generation",), "Objects it freed."),
        Metric(
            "quorate_build_info",
            _G,
            ("version", "python", "cluster_id", "node_id"),
            "Always 1; who this is.",
        ),
    ),
)

SECTIONS = (REQUESTS, TRAFFIC, PARTITIONS, GROUPS, CONSENSUS, CLUSTER, PROCESS)
METRICS = MappingProxyType({m.name: m for section in SECTIONS for m in section.metrics})
"""Every metric by name, in the order of the documentation."""
