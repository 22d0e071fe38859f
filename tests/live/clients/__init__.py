"""Kafka's client libraries behind one face, so that each must pass the same tests.

`Client` is the face; `confluent_client`, `aiokafka_client` and `kafka_python_client` are adapters.
An adapter opens producers and consumers as a program would and leaves the library's defaults
alone except where a parameter says otherwise. The broker's refusals come out as
`partitions.errors.KafkaError`, whatever class the library has for them.
"""

from __future__ import annotations

from tests.live.clients.interface import Client, Record, Stored

__all__ = ["Client", "Record", "Stored"]
