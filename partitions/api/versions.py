"""ApiVersions (key 18): what this broker serves, and nothing that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError

_M = wire.messages(wire.ApiKey.API_VERSIONS)
_SOFTWARE_CHARACTERS_MAX = 256


class VersionRange(NamedTuple):
    """An API and the versions advertised for it, both ends included."""

    key: int
    first: int
    last: int


class VersionsHandler:
    """Answers with a fixed list: the registry's."""

    __slots__ = ("_keys",)

    def __init__(self, ranges: Iterable[VersionRange]) -> None:
        self._keys = [
            _M.ApiVersion(api_key=r.key, min_version=r.first, max_version=r.last) for r in ranges
        ]

    def handle(self, services: Services, context: RequestContext, request: Any) -> Answer:
        """The list; the client's name and version are checked as KIP-511 wants."""
        for value in (request.client_software_name, request.client_software_version):
            if context.api_version >= 3 and not _plausible(value):
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, "client_software_name or _version is malformed"
                )
        return _M.ApiVersionsResponse(error_code=0, api_keys=self._keys)

    def unsupported(self) -> Body:
        """The version 0 body for a client whose ApiVersions is newer than ours (KIP-511)."""
        own = [key for key in self._keys if key.api_key == wire.ApiKey.API_VERSIONS]
        return _M.ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION.value, api_keys=own)


def _plausible(value: str) -> bool:
    """Kafka's pattern: letters, digits, '-' and '.', not at either end."""
    if not 0 < len(value) <= _SOFTWARE_CHARACTERS_MAX or not value.isascii():
        return False
    inner = value.replace("-", "").replace(".", "")
    return inner.isalnum() and value[0].isalnum() and value[-1].isalnum()


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error with no list."""
    return _M.ApiVersionsResponse(error_code=error.code.value, api_keys=[])
