"""The question every handler asks before it acts, and the authorizer that always says yes.

Numbers are Kafka's (AclOperation, ResourceType), as they appear in ACL requests.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Protocol


class Principal(NamedTuple):
    """Who a connection speaks for, written `User:alice`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


ANONYMOUS = Principal("User", "ANONYMOUS")
"""The principal of a connection that did not authenticate (Kafka's name)."""


class Operation(IntEnum):
    """What is to be done to a resource."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class ResourceKind(IntEnum):
    """What kind of thing is protected."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Resource(NamedTuple):
    """One protected thing."""

    kind: ResourceKind
    name: str


CLUSTER = Resource(ResourceKind.CLUSTER, "kafka-cluster")


def group_resource(name: str) -> Resource:
    """The resource of a consumer group."""
    return Resource(ResourceKind.GROUP, name)


def topic_resource(name: str) -> Resource:
    """The resource of a topic."""
    return Resource(ResourceKind.TOPIC, name)


class Caller(Protocol):
    """What an authorizer may know of a request; a RequestContext is one."""

    @property
    def principal(self) -> Principal:
        """Who asks."""

    @property
    def peer(self) -> str:
        """Remote address, `host:port`."""

    @property
    def listener(self) -> str:
        """Name of the listener the request came through."""


class Authorizer(Protocol):
    """Decides at once, without I/O: handlers cannot wait for it."""

    def authorize(self, caller: Caller, operation: Operation, resource: Resource) -> bool:
        """May `caller` do `operation` to `resource`?"""


class AllowAll:
    """Everybody may do everything: for clusters whose network is the only fence."""

    __slots__ = ()

    def authorize(self, caller: Caller, operation: Operation, resource: Resource) -> bool:
        """Yes."""
        return True
