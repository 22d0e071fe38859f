"""Who is asking, and whether they may: principals and authorizers.

Every handler calls `authorizer.authorize(caller, operation, resource)` once per resource it
touches, before it touches it; a listener of names it may not see is filtered, an action is
refused with the resource's own error code. `AllowAll` is the authorizer until another is
configured, so the calls are in their places from the first day. Nothing here does I/O.
Start reading at `authorizer.Authorizer`.
"""

from __future__ import annotations

from partitions.security.authorizer import (
    ANONYMOUS,
    CLUSTER,
    AllowAll,
    Authorizer,
    Caller,
    Operation,
    Principal,
    Resource,
    ResourceKind,
    group_resource,
    topic_resource,
)

__all__ = [
    "ANONYMOUS",
    "CLUSTER",
    "AllowAll",
    "Authorizer",
    "Caller",
    "Operation",
    "Principal",
    "Resource",
    "ResourceKind",
    "group_resource",
    "topic_resource",
]
