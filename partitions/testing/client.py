"""A small Kafka client on virtual time: real frames, bounded patience, no background tasks.

Its methods are coroutines for `tasks.spawn` or `SimCluster.run`. They look for the leader,
ask again after retriable errors and broken connections until `patience_us` is over, and then
raise `GaveUp`: the fate of what was asked is unknown. An error that no retry can mend raises
`Refused`. One request is open at a time per call, so a client orders what it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from partitions import wire
from partitions.errors import ErrorCode
from partitions.testing.connection import ClientConnection, connect
from partitions.testing.tasks import Promise, sleep
from partitions.testing.versions import VERSIONS
from partitions.testing.world import World, node_of

T = TypeVar("T")

PATIENCE_US = 30_000_000
REQUEST_TIMEOUT_US = 1_500_000
RETRY_US = 50_000
FETCH_WAIT_MS = 200
FETCH_BYTES = 256 * 1024
_PRODUCE, _FETCH, _LIST, _METADATA, _CREATE, _DELETE, _DELETE_RECORDS, _INIT = (
    wire.ApiKey.PRODUCE,
    wire.ApiKey.FETCH,
    wire.ApiKey.LIST_OFFSETS,
    wire.ApiKey.METADATA,
    wire.ApiKey.CREATE_TOPICS,
    wire.ApiKey.DELETE_TOPICS,
    wire.ApiKey.DELETE_RECORDS,
    wire.ApiKey.INIT_PRODUCER_ID,
)
LATEST, EARLIEST = -1, -2
"""Timestamps with a meaning of their own in ListOffsets."""


class GaveUp(Exception):
    """No answer within the client's patience: it may or may not have happened."""


class Refused(Exception):
    """The broker answered with an error that trying again does not mend."""

    def __init__(self, what: str, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(f"{what}: {code.name}" + (f" ({message})" if message else ""))
        self.code = code


class Fetched(NamedTuple):
    """One partition's part of a Fetch response."""

    records: bytes
    high_watermark: int
    log_start_offset: int
    node: int
    """Who answered."""


class ProducerIdentity(NamedTuple):
    """What makes a producer idempotent."""

    producer_id: int = -1
    epoch: int = -1


class SimClient:
    """See the module. `address` is its place on the network, apart from all brokers'."""

    def __init__(self, world: World, address: int, bootstrap: list[int]) -> None:
        self.address = address
        self.patience_us = PATIENCE_US
        self.retries = 0
        """Requests that had to be sent again."""
        self._world = world
        self._process = world.reactor.process(f"client{address}")
        self._bootstrap = bootstrap
        self._connections: dict[int, ClientConnection] = {}
        self._dialling: dict[int, Promise[ClientConnection | None]] = {}
        self._leaders: dict[tuple[str, int], int] = {}
        self._epochs: dict[tuple[str, int], int] = {}
        self._topic_ids: dict[str, bytes] = {}

    # --- what a caller wants

    async def create_topic(
        self,
        name: str,
        partitions: int,
        replication_factor: int,
        configs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make a topic; fine if it exists."""
        m = wire.messages(_CREATE)
        topic = m.CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=replication_factor,
            configs=[m.CreatableTopicConfig(name=k, value=v) for k, v in configs.items()],
        )
        body = m.CreateTopicsRequest(topics=[topic], timeout=1000)

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            (made,) = answer.topics
            exists = made.error_code == ErrorCode.TOPIC_ALREADY_EXISTS
            return 0 if exists else made.error_code, made.error_message, None

        # brokers register one after another: until then there are too few
        await self._insist(
            "create", None, _CREATE, body, outcome, also=(ErrorCode.INVALID_REPLICATION_FACTOR,)
        )

    async def delete_topic(self, name: str) -> None:
        """Delete a topic; fine if there is none."""
        m = wire.messages(_DELETE)
        body = m.DeleteTopicsRequest(
            topics=[m.DeleteTopicState(name=name, topic_id=bytes(16))], timeout=1000
        )

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            (gone,) = answer.responses
            absent = gone.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return 0 if absent else gone.error_code, gone.error_message, None

        await self._insist("delete", None, _DELETE, body, outcome)

    async def init_producer_id(self) -> ProducerIdentity:
        """A producer id of this client's own."""
        body = wire.messages(_INIT).InitProducerIdRequest(
            transactional_id=None, transaction_timeout=60_000, producer_id=-1, producer_epoch=-1
        )

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            identity = ProducerIdentity(answer.producer_id, answer.producer_epoch)
            return answer.error_code, None, identity

        identity: ProducerIdentity = await self._insist("init", None, _INIT, body, outcome)
        return identity

    async def produce(self, topic: str, partition: int, batch: bytes) -> int:
        """Write one batch with acks=all; its base offset. Sent again it is the same batch."""
        body, where = _produce_body(topic, partition, batch), (topic, partition)
        offset: int = await self._insist("produce", where, _PRODUCE, body, _produced)
        return offset

    async def pipeline(self, topic: str, partition: int, batches: list[bytes]) -> list[int]:
        """Write batches of an idempotent producer as libraries do; base offsets, -1: unknown.

        All are sent at once on one connection. When some were not taken, every answer is
        awaited before those are sent again, in their order. Raises Refused as well when a batch
        is out of order and none before it is missing.
        """
        offsets, where = [-1] * len(batches), (topic, partition)
        give_up = self._world.reactor.now_us() + self.patience_us
        while self._world.reactor.now_us() < give_up:
            node = await self._leader(where)
            connection = None if node is None else await self._connection(node)
            if connection is not None:
                await self._send_missing(connection, where, batches, offsets)
                if min(offsets) >= 0:
                    break
            self._leaders.pop(where, None)
            self.retries += 1
            await sleep(self._world.reactor, RETRY_US)
        return offsets

    async def _send_missing(
        self,
        connection: ClientConnection,
        where: tuple[str, int],
        batches: list[bytes],
        offsets: list[int],
    ) -> None:
        """Send the batches that have no offset yet, await all answers, note new offsets."""
        asked = [
            (n, connection.request(_PRODUCE, VERSIONS[_PRODUCE], _produce_body(*where, batch)))
            for n, batch in enumerate(batches)
            if offsets[n] < 0
        ]
        none_missing = True
        for n, promise in asked:
            answer = await self._within(promise)
            if answer is None:
                connection.close()
                none_missing = False
                continue
            number, message, base = _produced(answer)
            code = ErrorCode(number)
            if code is ErrorCode.NONE:
                offsets[n] = base
                continue
            self._world.note(self.address, "retry", "pipeline", where, n, code.name)
            follows = code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and not none_missing
            if not code.retriable and not follows:
                raise Refused(f"produce {where}, batch {n} of {len(batches)}", code, message)
            none_missing = False

    async def fetch(self, topic: str, partition: int, offset: int) -> Fetched:
        """Batches from the one that holds `offset` on; none if there are none in time."""
        where = (topic, partition)
        m = wire.messages(_FETCH)
        part = m.FetchPartition(
            partition=partition,
            fetch_offset=offset,
            partition_max_bytes=FETCH_BYTES,
            current_leader_epoch=-1,
            last_fetched_epoch=-1,
        )

        def body() -> Any:
            topic_id = self._topic_ids.get(topic, bytes(16))
            wanted = m.FetchTopic(topic_id=topic_id, partitions=[part])
            return m.FetchRequest(
                max_wait=FETCH_WAIT_MS, min_bytes=1, max_bytes=FETCH_BYTES, topics=[wanted]
            )

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            if answer.error_code or not answer.responses:
                return answer.error_code or ErrorCode.UNKNOWN_TOPIC_ID, None, None
            ((got,),) = [t.partitions for t in answer.responses]
            fetched = Fetched(
                bytes(got.records or b""),
                got.high_watermark,
                got.log_start_offset,
                self._leaders.get(where, -1),
            )
            return got.error_code, None, fetched

        result: Fetched = await self._insist("fetch", where, _FETCH, body, outcome)
        return result

    async def list_offsets(self, topic: str, partition: int, timestamp: int = LATEST) -> int:
        """The offset for `timestamp` (ms, or LATEST: the high watermark, or EARLIEST)."""
        m = wire.messages(_LIST)
        part = m.ListOffsetsPartition(
            partition_index=partition, current_leader_epoch=-1, timestamp=timestamp
        )
        body = m.ListOffsetsRequest(
            replica_id=-1, topics=[m.ListOffsetsTopic(name=topic, partitions=[part])]
        )

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            ((got,),) = [t.partitions for t in answer.topics]
            return got.error_code, None, got.offset

        offset: int = await self._insist("list", (topic, partition), _LIST, body, outcome)
        return offset

    async def delete_records(self, topic: str, partition: int, offset: int = -1) -> int:
        """Have everything below `offset` (-1: the high watermark) deleted; the log start now."""
        m = wire.messages(_DELETE_RECORDS)
        part = m.DeleteRecordsPartition(partition_index=partition, offset=offset)
        body = m.DeleteRecordsRequest(
            topics=[m.DeleteRecordsTopic(name=topic, partitions=[part])], timeout=1000
        )

        def outcome(answer: Any) -> tuple[int, str | None, Any]:
            ((got,),) = [t.partitions for t in answer.topics]
            return got.error_code, None, got.low_watermark

        where = (topic, partition)
        start: int = await self._insist("delete", where, _DELETE_RECORDS, body, outcome)
        return start

    # --- finding brokers and insisting

    async def _insist(
        self,
        what: str,
        where: tuple[str, int] | None,
        key: wire.ApiKey,
        body: Any,
        outcome: Callable[[Any], tuple[int, str | None, Any]],
        also: tuple[ErrorCode, ...] = (),
    ) -> Any:
        """Ask the leader of `where` (None: anybody) until there is a final answer."""
        reactor = self._world.reactor
        give_up = reactor.now_us() + self.patience_us
        last = "no broker answered"
        while reactor.now_us() < give_up:
            node = self._anybody() if where is None else await self._leader(where)
            if node is not None:
                made = body() if callable(body) else body
                answer = await self._ask(node, key, made)
                if answer is not None:
                    number, message, value = outcome(answer)
                    code = ErrorCode(number)
                    if code is ErrorCode.NONE:
                        return value
                    last = f"{code.name} from {node}"
                    self._world.note(self.address, "retry", what, where, last)
                    if not code.retriable and code not in also:
                        raise Refused(f"{what} {where} at node {node}", code, message)
            if where is not None:
                self._leaders.pop(where, None)
            self.retries += 1
            await sleep(reactor, RETRY_US)
        raise GaveUp(f"{what} {where}: {last}")

    async def _leader(self, where: tuple[str, int]) -> int | None:
        if where not in self._leaders:
            await self._refresh(where[0])
        return self._leaders.get(where)

    async def _refresh(self, topic: str) -> None:
        """Ask some broker where the partitions of `topic` are led."""
        m = wire.messages(_METADATA)
        wanted = m.MetadataRequestTopic(topic_id=bytes(16), name=topic)
        body = m.MetadataRequest(topics=[wanted], allow_auto_topic_creation=False)
        answer = await self._ask(self._anybody(), _METADATA, body)
        if answer is None:
            return
        nodes = {broker.node_id: node_of(broker.host) for broker in answer.brokers}
        for found in answer.topics:
            if found.error_code:
                continue
            self._topic_ids[topic] = found.topic_id
            for part in found.partitions:
                where = (topic, part.partition_index)
                # a broker that was cut off may name a leader of the past (KIP-320)
                if not part.error_code and part.leader_epoch >= self._epochs.get(where, -1):
                    self._epochs[where] = part.leader_epoch
                    self._leaders[where] = nodes[part.leader_id]

    def _anybody(self) -> int:
        return self._world.random.choice(self._bootstrap)

    async def _ask(
        self, node: int, key: wire.ApiKey, body: Any, timeout_us: int = REQUEST_TIMEOUT_US
    ) -> Any:
        """One request; None when the connection broke or the answer took too long."""
        connection = await self._connection(node)
        if connection is None:
            return None
        answer = await self._within(connection.request(key, VERSIONS[key], body), timeout_us)
        if answer is None and connection.is_open:
            self._world.note(self.address, "timeout", node, key.name)
            connection.close()
        return answer

    async def _connection(self, node: int) -> ClientConnection | None:
        """The open one, or a new one."""
        connection = self._connections.get(node)
        if connection is None or not connection.is_open:
            return await self._connect(node)
        return connection

    async def _connect(self, node: int) -> ClientConnection | None:
        """One attempt, shared by all calls that want the broker."""
        made = self._dialling.get(node)
        if made is None:
            made = connect(self._world, self._process, self.address, node)
            self._dialling[node] = made
        connection = await self._within(made)
        if self._dialling.get(node) is made:
            del self._dialling[node]
        if connection is None:
            made.resolve(None)  # should it come up later, it is closed
            return None
        self._connections[node] = connection
        return connection

    async def _within(self, wanted: Promise[T], timeout_us: int = REQUEST_TIMEOUT_US) -> T | None:
        """The promise's value, or None after `timeout_us`."""
        reactor = self._world.reactor
        race: Promise[T | None] = Promise()
        wanted.then(lambda: race.resolve(wanted.value))
        timer = reactor.call_at(reactor.now_us() + timeout_us, lambda: race.resolve(None))
        value = await race
        timer.cancel()
        return value


def _produce_body(topic: str, partition: int, batch: bytes) -> Any:
    m = wire.messages(_PRODUCE)
    part = m.PartitionProduceData(index=partition, records=batch)
    data = m.TopicProduceData(name=topic, partition_data=[part])
    return m.ProduceRequest(acks=-1, timeout=1000, topic_data=[data])


def _produced(answer: Any) -> tuple[int, str | None, Any]:
    ((done,),) = [t.partition_responses for t in answer.responses]
    return done.error_code, done.error_message, done.base_offset
