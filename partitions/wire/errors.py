"""What can be wrong with a frame. Both are the peer's fault, never this broker's."""

from __future__ import annotations


class MalformedFrame(Exception):
    """The bytes are not a message of the API and version they claim; close the connection."""


class UnsupportedApi(Exception):
    """The header names an API or a version without a schema.

    For ApiVersions (key 18) the answer is a version 0 response with UNSUPPORTED_VERSION
    (KIP-511); for any other key the connection is closed.
    """

    def __init__(self, api_key: int, api_version: int, correlation_id: int) -> None:
        super().__init__(f"no schema for API key {api_key} version {api_version}")
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
