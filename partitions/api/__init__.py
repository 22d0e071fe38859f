"""The Kafka APIs this broker serves: one module per family, one list of all of them.

A handler is a plain function `(services, context, body) -> answer` that never waits: what is
not there yet is a Pending (`partitions.pending`), resolved later by a commit, a timer or the
controller. `registry` lists every API with the versions it advertises; `services` is all that
handlers may use of the broker; `context` says who asks and what an answer can be.

Rules: every answer has one result per item that was asked for, in the order asked (Metadata: per
item, however often), and no answer grows by asking for the same again. Handlers
raise KafkaError, which names the code and what is wrong; the session turns it, or anything
unforeseen, into the API's own error response. Nothing keeps a view of the request's bytes
beyond the call. `authorizer.authorize` is called per resource before it is touched.

Start reading at `registry`, then `produce`.
"""

from __future__ import annotations

from partitions.api.budget import ByteBudget
from partitions.api.context import (
    Answer,
    CancellablePending,
    CloseConnection,
    EncodedBody,
    Failed,
    RequestContext,
)
from partitions.api.deadlines import Deadlines
from partitions.api.metadatacache import MetadataCache
from partitions.api.refused import RefusedBatches
from partitions.api.registry import APIS, BY_KEY, VERSIONS, Api
from partitions.api.services import (
    ALTER_CONFIGS,
    CREATE_PARTITIONS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    ApiSettings,
    ControllerReply,
    ItemOutcome,
    ProducerIdReply,
    QuorumReply,
    Services,
)

__all__ = [
    "ALTER_CONFIGS",
    "APIS",
    "BY_KEY",
    "CREATE_PARTITIONS",
    "CREATE_TOPICS",
    "DELETE_TOPICS",
    "VERSIONS",
    "Answer",
    "Api",
    "ApiSettings",
    "ByteBudget",
    "CancellablePending",
    "CloseConnection",
    "ControllerReply",
    "Deadlines",
    "EncodedBody",
    "Failed",
    "ItemOutcome",
    "MetadataCache",
    "ProducerIdReply",
    "QuorumReply",
    "RefusedBatches",
    "RequestContext",
    "Services",
]
