"""The one list of all APIs this broker serves, with the versions it advertises.

An API is here when it works, and not before: clients choose what to do by this list. The
upper bounds are what current clients were tried with; raising one means reading the KIPs
between. Transaction APIs are absent until their coordinator exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from partitions.api import (
    alterconfigs,
    cluster,
    configs,
    coordinators,
    elections,
    fetch,
    groupadmin,
    groupoffsets,
    groups,
    logdirs,
    metadata,
    offsets,
    produce,
    producers,
    producerstates,
    quorum,
    reassignments,
    topicpartitions,
    topics,
    versions,
)
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import KafkaError
from partitions.wire import ApiKey

Handle = Callable[[Services, RequestContext, Any], Answer]
Refuse = Callable[[RequestContext, Any, KafkaError], Body]


class Api(NamedTuple):
    """One API: served from `first` to `last`."""

    key: ApiKey
    first: int
    last: int
    handle: Handle
    refuse: Refuse
    """The response that says one error for everything the request asked."""
    advertised_first: int | None = None
    """Lower bound to advertise, when it is not `first`."""

    @property
    def advertised(self) -> versions.VersionRange:
        """What ApiVersions says of it."""
        first = self.first if self.advertised_first is None else self.advertised_first
        return versions.VersionRange(int(self.key), first, self.last)


_HANDLERS: tuple[Api, ...] = (
    # 0-2 are message formats of before 2017 and refused, but clients that compress look for
    # version 0 in the list (KAFKA-18659).
    Api(ApiKey.PRODUCE, 3, 11, produce.handle, produce.refuse, advertised_first=0),
    Api(ApiKey.FETCH, 4, 16, fetch.handle, fetch.refuse),
    Api(ApiKey.LIST_OFFSETS, 1, 9, offsets.list_offsets, offsets.refuse_list_offsets),
    Api(ApiKey.METADATA, 0, 12, metadata.handle, metadata.refuse),
    Api(ApiKey.OFFSET_COMMIT, 2, 9, groupoffsets.commit, groupoffsets.refuse_commit),
    Api(ApiKey.OFFSET_FETCH, 1, 9, groupoffsets.fetch, groupoffsets.refuse_fetch),
    Api(ApiKey.FIND_COORDINATOR, 0, 4, coordinators.handle, coordinators.refuse),
    Api(ApiKey.JOIN_GROUP, 0, 9, groups.join, groups.refuse_join),
    Api(ApiKey.HEARTBEAT, 0, 4, groups.heartbeat, groups.refuse_heartbeat),
    Api(ApiKey.LEAVE_GROUP, 0, 5, groups.leave, groups.refuse_leave),
    Api(ApiKey.SYNC_GROUP, 0, 5, groups.sync, groups.refuse_sync),
    Api(ApiKey.DESCRIBE_GROUPS, 0, 6, groupadmin.describe, groupadmin.refuse_describe),
    Api(ApiKey.LIST_GROUPS, 0, 5, groupadmin.list_groups, groupadmin.refuse_list),
    Api(ApiKey.DELETE_GROUPS, 0, 2, groupadmin.delete, groupadmin.refuse_delete),
    Api(ApiKey.OFFSET_DELETE, 0, 0, groupoffsets.delete, groupoffsets.refuse_delete),
    Api(ApiKey.CREATE_TOPICS, 2, 7, topics.create, topics.refuse_create),
    Api(ApiKey.DELETE_TOPICS, 1, 6, topics.delete, topics.refuse_delete),
    Api(ApiKey.DELETE_RECORDS, 0, 2, offsets.delete_records, offsets.refuse_delete_records),
    Api(ApiKey.INIT_PRODUCER_ID, 0, 4, producers.handle, producers.refuse),
    Api(
        ApiKey.OFFSET_FOR_LEADER_EPOCH,
        2,
        4,
        offsets.offset_for_epoch,
        offsets.refuse_offset_for_epoch,
    ),
    Api(ApiKey.DESCRIBE_CONFIGS, 1, 4, configs.handle, configs.refuse),
    Api(ApiKey.ALTER_CONFIGS, 0, 2, alterconfigs.replace, alterconfigs.refuse_replace),
    Api(ApiKey.DESCRIBE_LOG_DIRS, 1, 5, logdirs.handle, logdirs.refuse),
    Api(ApiKey.CREATE_PARTITIONS, 0, 3, topics.create_partitions, topics.refuse_create_partitions),
    Api(ApiKey.ELECT_LEADERS, 0, 2, elections.handle, elections.refuse),
    Api(
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        0,
        1,
        alterconfigs.incremental,
        alterconfigs.refuse_incremental,
    ),
    Api(ApiKey.LIST_PARTITION_REASSIGNMENTS, 0, 0, reassignments.handle, reassignments.refuse),
    Api(ApiKey.DESCRIBE_QUORUM, 0, 2, quorum.handle, quorum.refuse),
    Api(ApiKey.DESCRIBE_CLUSTER, 0, 2, cluster.handle, cluster.refuse),
    Api(ApiKey.DESCRIBE_PRODUCERS, 0, 0, producerstates.handle, producerstates.refuse),
    Api(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, 0, topicpartitions.handle, topicpartitions.refuse),
)

_VERSIONS_FIRST, _VERSIONS_LAST = 0, 4

_RANGES = sorted(
    [
        *(api.advertised for api in _HANDLERS),
        versions.VersionRange(int(ApiKey.API_VERSIONS), _VERSIONS_FIRST, _VERSIONS_LAST),
    ]
)
VERSIONS = versions.VersionsHandler(_RANGES)

APIS: tuple[Api, ...] = (
    *_HANDLERS,
    Api(ApiKey.API_VERSIONS, _VERSIONS_FIRST, _VERSIONS_LAST, VERSIONS.handle, versions.refuse),
)
BY_KEY: dict[int, Api] = {int(api.key): api for api in APIS}
