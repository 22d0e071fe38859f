"""What the controller decides, as pure functions of an image.

Each decision takes an image and a request and returns a `Decision`: the records to write and
the answer to give once they are committed; or it raises MetadataError and nothing happened.
Rules of this package:

- Pure: no clock, no randomness. Ids that must be random and times come in as arguments.
- All records of one decision go into one entry, so it happens whole or not at all.
- A decision is made on the image that will be true when its records are applied. A controller
  that decides again before its last entry is committed decides on `Pipeline.image`.
- Who is alive is soft state of the one who leads (`Sessions`); only fencing is a record.
- The error names the field that is wrong, its value and what is allowed.

Start reading at `decision`, then `topics`; `placement` is the one algorithm.
"""

from __future__ import annotations

from metadata.controller.brokers import (
    BrokerRegistration,
    Heartbeat,
    HeartbeatReply,
    Registered,
    create_cluster,
    fence_expired,
    fence_lost,
    heartbeat,
    register_broker,
    remove_broker,
)
from metadata.controller.configs import ConfigChange, ConfigOperation, alter_configs
from metadata.controller.decision import Decision, Pipeline
from metadata.controller.features import LEVEL_FEATURE, raise_feature_level
from metadata.controller.partitions import NewPartitions, create_partitions, reassign
from metadata.controller.placement import Candidate, place
from metadata.controller.producer_ids import BLOCK_SIZE, ProducerIdBlock, allot_producer_ids
from metadata.controller.sessions import Sessions
from metadata.controller.topics import (
    CreatedTopic,
    NewTopic,
    TopicDefaults,
    create_topic,
    delete_topic,
)

__all__ = [
    "BLOCK_SIZE",
    "LEVEL_FEATURE",
    "BrokerRegistration",
    "Candidate",
    "ConfigChange",
    "ConfigOperation",
    "CreatedTopic",
    "Decision",
    "Heartbeat",
    "HeartbeatReply",
    "NewPartitions",
    "NewTopic",
    "Pipeline",
    "ProducerIdBlock",
    "Registered",
    "Sessions",
    "TopicDefaults",
    "allot_producer_ids",
    "alter_configs",
    "create_cluster",
    "create_partitions",
    "create_topic",
    "delete_topic",
    "fence_expired",
    "fence_lost",
    "heartbeat",
    "place",
    "raise_feature_level",
    "reassign",
    "register_broker",
    "remove_broker",
]
