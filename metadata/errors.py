"""Errors of metadata. The type says whose fault it was; the text says what to do."""

from __future__ import annotations

from enum import StrEnum

from raftlog.errors import CorruptLog, Misconfigured


class ErrorCode(StrEnum):
    """Why the controller refused a request: the names of Kafka's error codes."""

    BROKER_ID_NOT_REGISTERED = "BROKER_ID_NOT_REGISTERED"
    DUPLICATE_BROKER_REGISTRATION = "DUPLICATE_BROKER_REGISTRATION"
    INCONSISTENT_CLUSTER_ID = "INCONSISTENT_CLUSTER_ID"
    INVALID_CONFIG = "INVALID_CONFIG"
    INVALID_PARTITIONS = "INVALID_PARTITIONS"
    INVALID_REGISTRATION = "INVALID_REGISTRATION"
    INVALID_REPLICATION_FACTOR = "INVALID_REPLICATION_FACTOR"
    INVALID_REPLICA_ASSIGNMENT = "INVALID_REPLICA_ASSIGNMENT"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_TOPIC_EXCEPTION = "INVALID_TOPIC_EXCEPTION"
    INVALID_UPDATE_VERSION = "INVALID_UPDATE_VERSION"
    POLICY_VIOLATION = "POLICY_VIOLATION"
    STALE_BROKER_EPOCH = "STALE_BROKER_EPOCH"
    TOPIC_ALREADY_EXISTS = "TOPIC_ALREADY_EXISTS"
    UNKNOWN_TOPIC_ID = "UNKNOWN_TOPIC_ID"
    UNKNOWN_TOPIC_OR_PARTITION = "UNKNOWN_TOPIC_OR_PARTITION"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"


class MetadataError(Exception):
    """The controller refuses a request: the caller's fault. Nothing was changed."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        """`message` names the field that is wrong, its value, and what is allowed."""
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message


class RecordError(CorruptLog):
    """Bytes given as metadata records are not: nothing of the entry may be applied."""


class UnknownRecord(RecordError):
    """A record of a type or version that this release does not know: upgrade this broker."""


class ImageError(CorruptLog):
    """A well-formed record contradicts the image it is applied to: this replica must stop."""


class InvalidConfig(Misconfigured):
    """A setting's name or value is wrong: the operator's (or the client's) fault."""

    def __init__(self, name: str, message: str) -> None:
        """`message` is the whole sentence; `name` the setting as it was given."""
        super().__init__(message)
        self.name = name
        self.message = message
