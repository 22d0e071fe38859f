"""Names of the error codes that brokers send."""

from __future__ import annotations

from partitions.errors import ErrorCode


def code_name(code: int) -> str:
    """Kafka's name of an error; a broker of a later release may know more of them."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"
