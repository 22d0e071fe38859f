"""Kafka clients for the commands, and their errors in our words.

Every client is librdkafka through confluent-kafka. Before one is made, `reach` tries the given
addresses with a plain connection: librdkafka retries silently until the time-out, and a person who
mistyped a port should not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cli.codes import code_name
from cli.context import Target
from cli.dialing import dial
from cli.exits import CommandFailed, ExitCode
from cli.patience import beside, waiting
from partitions.errors import ErrorCode

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient, ClusterMetadata

Result = TypeVar("Result")

CONSUMER_GROUP = "quorate-cli"
"""librdkafka wants a name; offsets are never committed under it."""

WHY_SILENT = (
    "that has just started waits for a majority of the voters: its log says so. Peer and admin "
    "listeners never answer clients"
)
"""What may be wrong with an address that accepts connections, and says nothing."""

ADVICE: dict[int, str] = {
    ErrorCode.OFFSET_OUT_OF_RANGE: "`quorate topic describe TOPIC --offsets` shows what there is",
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "`quorate topic list` shows what there is",
    ErrorCode.TOPIC_ALREADY_EXISTS: "--if-not-exists makes that a success",
    ErrorCode.NON_EMPTY_GROUP: "stop its consumers first (one that was killed counts until its "
    "session.timeout.ms has passed); `quorate group describe GROUP --members` shows them",
    ErrorCode.GROUP_ID_NOT_FOUND: "`quorate group list` shows what there is",
}
"""What to do about a broker's error code, where the broker does not say so itself."""

_silent = logging.getLogger("quorate.cli.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def reach(target: Target) -> None:
    """Return if any bootstrap address accepts a connection, else CommandFailed (UNREACHABLE)."""
    reasons = []
    for address in target.bootstrap:
        try:
            dial(address, target.timeout_s / len(target.bootstrap)).close()
        except OSError as error:
            reasons.append(f"{address} ({reason_of(error)})")
        else:
            return
    raise CommandFailed(
        f"cannot reach the cluster: {', '.join(reasons)}; is it running, and is --bootstrap right?",
        ExitCode.UNREACHABLE,
    )


def reason_of(error: OSError) -> str:
    """Why a connection failed, to be put in the middle of a sentence."""
    return (error.strerror or str(error)).lower()


def settings(target: Target, **more: Any) -> dict[str, Any]:
    """librdkafka settings: ours, the command's, then what the user gave with -X."""
    return {
        "bootstrap.servers": target.servers,
        "client.id": "quorate-cli",
        "logger": _silent,
        # Brokers are asked again soon when they restart.
        "reconnect.backoff.max.ms": 1000,
        "allow.auto.create.topics": False,
        **more,
        **dict(target.client_settings),
    }


def admin(target: Target) -> AdminClient:
    """An admin client for a cluster that was reached."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    reach(target)
    try:
        return AdminClient(settings(target))
    except KafkaException as error:
        refuse_settings(error)


def producer(target: Target, **more: Any) -> Producer:
    """A producer; `more` are librdkafka settings."""
    from confluent_kafka import KafkaException, Producer

    reach(target)
    try:
        return Producer(settings(target, **more))
    except KafkaException as error:
        refuse_settings(error)


def consumer(target: Target, **more: Any) -> Consumer:
    """A consumer that belongs to no group in practice: it must `assign`."""
    from confluent_kafka import Consumer, KafkaException

    reach(target)
    defaults = {"group.id": CONSUMER_GROUP, "enable.auto.commit": False}
    try:
        return Consumer(settings(target, **{**defaults, **more}))
    except KafkaException as error:
        refuse_settings(error)


def refuse_client_settings(target: Target, command: str) -> None:
    """For commands that ask brokers without librdkafka: usage error if it was given settings."""
    if target.client_settings:
        raise CommandFailed(
            f"{command} asks the brokers itself: no --client-setting has an effect on it",
            ExitCode.USAGE,
        )


def refuse_settings(error: Exception) -> NoReturn:
    """A librdkafka setting was refused: usage error, in librdkafka's words."""
    raise CommandFailed(f"client setting refused: {describe(error)}", ExitCode.USAGE) from error


def metadata(
    client: Any, target: Target, check: Callable[[], object] = lambda: None
) -> ClusterMetadata:
    """Brokers and all topics as one broker sees them; CommandFailed (TIMED_OUT) without an answer.

    `check` and Ctrl-C end it at once; `client` must not be closed then (see `patience.beside`).

    The addresses were reached before (`reach`), and librdkafka calls silence a transport failure.
    """
    from confluent_kafka import KafkaError as Codes
    from confluent_kafka import KafkaException

    try:
        with waiting(f"connected, waiting for an answer from {target.servers}"):
            found: ClusterMetadata = beside(
                lambda: client.list_topics(timeout=target.timeout_s), check
            )
    except KafkaException as error:
        if error.args[0].code() not in (Codes._TRANSPORT, Codes._TIMED_OUT):
            fail(error.args[0], target, "asking for metadata")
        raise CommandFailed(
            f"connected, but no broker answers within {target.timeout_s:g} s ({target.servers}); "
            f"one {WHY_SILENT}",
            ExitCode.TIMED_OUT,
        ) from error
    return found


def result_of(
    future: Future[Result],
    target: Target,
    doing: str,
    *,
    changes: bool = True,
    takes: str = "a majority of the voters",
) -> Result:
    """The result of an admin request, or CommandFailed naming what was being done.

    `changes`: the request is not only a question. `takes`: who has to be there for an answer.
    """
    from concurrent.futures import TimeoutError as FutureTimeout

    from confluent_kafka import KafkaException

    try:
        # librdkafka's own request time-out comes first; this one only bounds a lost callback.
        with waiting(f"{doing}: waiting for the answer; it takes {takes}"):
            return future.result(target.timeout_s + 5)
    except KafkaException as error:
        fail(error.args[0], target, doing, changes=changes)
    except FutureTimeout:
        raise CommandFailed(
            f"{doing}: no answer from {target.servers} in {target.timeout_s:g} s",
            ExitCode.TIMED_OUT,
        ) from None


def fail(error: KafkaError, target: Target, doing: str, *, changes: bool = False) -> NoReturn:
    """Raise CommandFailed for a Kafka error; its code says whether the cluster answered at all."""
    from confluent_kafka import KafkaError as Codes

    code, advice = ExitCode.FAILED, ""
    if error.code() in (Codes._TRANSPORT, Codes._ALL_BROKERS_DOWN, Codes._RESOLVE):
        code = ExitCode.UNREACHABLE
        advice = "; connected, then lost: do the brokers advertise addresses that you can reach?"
    elif error.code() in (Codes._TIMED_OUT, Codes._MSG_TIMED_OUT, Codes.REQUEST_TIMED_OUT):
        code = ExitCode.TIMED_OUT
        still = "it may still happen. " if changes else ""
        advice = f"; {still}Raise --timeout, or see `quorate cluster status`"
    elif error.code() in ADVICE:
        advice = f"; {ADVICE[error.code()]}"
    raise CommandFailed(f"{doing}: {told(error)} ({target.servers}){advice}", code)


def told(error: KafkaError) -> str:
    """A Kafka error's text and Kafka's name for it, under which docs/apis.md has it.

    librdkafka has shorter names of its own for some. What never came from a broker has no other.
    """
    code = error.code()
    of_broker = code >= ErrorCode.UNKNOWN_SERVER_ERROR
    return f"{error.str()} [{code_name(code) if of_broker else error.name()}]"


def no_partition(topic: str, partition: int, count: int) -> CommandFailed:
    """The failure for a partition that the topic does not have."""
    return CommandFailed(
        f"topic {topic} has no partition {partition}; it has {count}", ExitCode.USAGE
    )


def describe(error: Exception | KafkaError) -> str:
    """The text of a KafkaException without its wrapping, or of a KafkaError, which has none."""
    arguments = getattr(error, "args", ())
    inner = arguments[0] if arguments else error
    return inner.str() if hasattr(inner, "str") else str(inner)
