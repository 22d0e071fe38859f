"""`python -m metadata.configs.document`: docs/configuration.md, from the table."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from metadata.configs.definition import ConfigDef, Scope
from metadata.configs.table import CONFIGS

_INTRODUCTION = """\
# Configuration

Every setting, generated from `metadata/configs` by
`python -m metadata.configs.document > docs/configuration.md`.

A broker reads a TOML file, then the environment, then flags; the later one wins. A setting's
variable is `QUORATE_` and its name in capitals with `_` for `.`: `log.dirs` is
`QUORATE_LOG_DIRS`. In TOML `log.dirs = "/var/lib/quorate"` may also be written as `dirs` in a
table `[log]`; a name that another name begins with needs quotes (`"max.connections" = 100`).
Names that are not below are refused.

`quorate config lint FILE` checks a file without a broker.

Names and defaults are Kafka's unless a note says otherwise. *Dynamic* settings can change while
brokers run, for one broker or for all, by `quorate config set` or any Kafka client
(IncrementalAlterConfigs): what is set so wins over the broker's file, for one broker over for all.
The others are refused there: they are in the file and need a restart. A topic's settings can always
change; one that is not set has the value of the broker's setting beside it. New topics' numbers
(`num.partitions`, `default.replication.factor`) are those of the broker that is the controller, so
set them for all.
"""

_OURS = "quorate's own"


def document() -> str:
    """The whole page."""
    topics = [d for d in CONFIGS if d.scope is not Scope.BROKER]
    brokers = [d for d in CONFIGS if d.scope is Scope.BROKER]
    parts = [_INTRODUCTION, "## Topics\n", *_topic_table(topics), ""]
    parts += ["## Brokers\n", *_broker_table(brokers), ""]
    return "\n".join(parts)


def _topic_table(definitions: Iterable[ConfigDef]) -> Iterable[str]:
    yield "| topic's name | broker's name | type | default | allowed | |"
    yield "|---|---|---|---|---|---|"
    for d in definitions:
        broker = ", ".join(f"`{name}`" for name in (d.broker_name, *(a.name for a in d.aliases)))
        yield _row(
            f"`{d.name}`", broker, d.type.name.lower(), _default(d), d.rule.allowed, _text(d)
        )


def _broker_table(definitions: Iterable[ConfigDef]) -> Iterable[str]:
    yield "| name | type | default | dynamic | allowed | |"
    yield "|---|---|---|---|---|---|"
    for d in definitions:
        names = ", ".join(f"`{name}`" for name in (d.name, *(a.name for a in d.aliases)))
        dynamic = "yes" if d.dynamic else "no"
        yield _row(names, d.type.name.lower(), _default(d), dynamic, d.rule.allowed, _text(d))


def _default(d: ConfigDef) -> str:
    if d.required:
        return "required"
    return "not set" if d.default is None else f"`{d.default}`"


def _text(d: ConfigDef) -> str:
    unit = {"ms": " Milliseconds.", "bytes": " Bytes."}.get(d.unit, "")
    notes = ([f"*{d.kafka_note}*"] if d.kafka_note else []) + ([] if d.kafka else [f"*{_OURS}*"])
    return " ".join([d.documentation + unit, *notes])


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(document())
