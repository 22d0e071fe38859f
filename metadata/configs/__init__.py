"""Every setting of quorate, in one typed table.

A `ConfigDef` gives a setting's name, type, default, scope, whether it can change while brokers
run, and its documentation. The table feeds everything that speaks of settings: the broker's
file, environment and flags (`loading`), topics' and brokers' dynamic configurations (the
controller checks them here), DescribeConfigs (`effective`), and `docs/configuration.md`
(`python -m metadata.configs.document`).

Rules:
- A name is Kafka's wherever Kafka has the setting; so is the default, and where it differs
  `kafka_note` says so. Ours alone are in the namespaces `peer.`, `raft.`, `wal.`, `unsafe.`.
- A setting is in the table only when something reads it. A value that would not do what
  Kafka does with it is refused, with the reason.
- What has a unit carries it at the end of its name (`.ms`, `.bytes`).
- A topic's setting has a broker's setting as its default; the two are one ConfigDef.
- Pure: the caller reads the file and the environment, and hands over text.

Start reading at `definition`, then `table`.
"""

from __future__ import annotations

from metadata.configs.addresses import Endpoint, Voter
from metadata.configs.definition import ConfigDef, ConfigType, ConfigValue, Scope
from metadata.configs.effective import (
    BrokerLayers,
    ConfigEntry,
    ConfigSource,
    Synonym,
    TopicConfig,
    broker_entries,
    broker_value,
    cluster_entries,
    topic_config,
    topic_entries,
)
from metadata.configs.loading import (
    BrokerSettings,
    InvalidSettings,
    Origin,
    load_settings,
)
from metadata.configs.table import (
    BROKER_CONFIGS,
    CONFIGS,
    TOPIC_CONFIGS,
    broker_definition,
    topic_definition,
)

__all__ = [
    "BROKER_CONFIGS",
    "CONFIGS",
    "TOPIC_CONFIGS",
    "BrokerLayers",
    "BrokerSettings",
    "ConfigDef",
    "ConfigEntry",
    "ConfigSource",
    "ConfigType",
    "ConfigValue",
    "Endpoint",
    "InvalidSettings",
    "Origin",
    "Scope",
    "Synonym",
    "TopicConfig",
    "Voter",
    "broker_definition",
    "broker_entries",
    "broker_value",
    "cluster_entries",
    "load_settings",
    "topic_config",
    "topic_definition",
    "topic_entries",
]
