"""Reading as a member of a consumer group: what was printed is committed, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cli import clients
from cli.context import Target
from cli.output import note
from cli.patience import SILENT_S

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

POLL_S = 0.2
COMMIT_S = 1.0
RECORDS_PER_POLL = 1000


class GroupReader:
    """One membership. `batches` yields records, `settled` notices that they were printed."""

    def __init__(
        self, group: str, topic: str, start: str, count: int | None, until_end: bool, commit: bool
    ) -> None:
        """`start`: earliest or latest, where the group has committed nothing."""
        self.group = group
        self.topic = topic
        self.ends = until_end or count is not None
        self._start = start
        self._left = count
        self._until_end = until_end
        self._commits = commit
        self._assigned: set[int] | None = None
        self._at_end: set[int] = set()
        self._yielded: dict[int, int] = {}
        self._printed: dict[int, int] = {}
        """Partition -> next offset."""
        self._sent: dict[int, int] = {}
        """What was committed last without waiting whether that succeeds."""
        self._committed: dict[int, int] = {}
        self._when = time.monotonic()

    def settings(self) -> dict[str, Any]:
        """For librdkafka."""
        return {
            "group.id": self.group,
            "auto.offset.reset": self._start,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
        }

    def batches(
        self, client: Consumer, is_record: Callable[[Message], bool]
    ) -> Iterator[list[Message]]:
        """Records as they come, never more than are still wanted."""
        client.subscribe([self.topic], on_assign=self._assign, on_revoke=self._revoke)
        began, told = time.monotonic(), False
        while not self._done():
            wanted = RECORDS_PER_POLL
            if self._left is not None:
                wanted = min(wanted, self._left)
            batch = []
            for event in client.consume(wanted, POLL_S):
                if is_record(event):
                    batch.append(event)
                    self._at_end.discard(event.partition() or 0)
                    self._yielded[event.partition() or 0] = (event.offset() or 0) + 1
                elif event.error() is not None and self._is_end(event):
                    self._at_end.add(event.partition() or 0)
            if self._left is not None:
                self._left -= len(batch)
            if self._assigned is None and not told and time.monotonic() - began > SILENT_S:
                told = True
                note(f"quorate: waiting for group {self.group!r} to give out partitions")
            yield batch
            if self._commits and time.monotonic() - self._when > COMMIT_S:
                self._commit_some(client)

    def settled(self, source: Iterator[list[Message]]) -> Iterator[list[Message]]:
        """The same; who asks for more has printed what there was."""
        for batch in source:
            yield batch
            self.printed_all()

    def printed_all(self) -> None:
        """All that was yielded is printed."""
        self._printed = dict(self._yielded)

    def commit_printed(self, client: Consumer, target: Target) -> None:
        """Commit the rest, and wait for it; CommandFailed."""
        from confluent_kafka import KafkaException

        places = self._places()
        if not places or not self._commits:
            return
        doing = f"the last records were printed; committing them in group {self.group!r}"
        try:
            results = client.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            clients.fail(error.args[0], target, doing)
        for each in results or ():
            if each.error is not None:
                clients.fail(each.error, target, f"{doing}, partition {each.partition}")
        self._committed.update(self._printed)

    def _commit_some(self, client: Consumer) -> None:
        """Without waiting: what fails is in the next one."""
        places = self._places()
        self._when = time.monotonic()
        if places and self._printed != self._sent:
            self._sent = dict(self._printed)
            client.commit(offsets=places, asynchronous=True)

    def _places(self) -> list[TopicPartition]:
        """What was printed and is not known to be committed, of partitions that are still ours."""
        from confluent_kafka import TopicPartition

        return [
            TopicPartition(self.topic, partition, offset)
            for partition, offset in sorted(self._printed.items())
            if self._committed.get(partition) != offset
        ]

    def _done(self) -> bool:
        if self._left == 0:
            return True
        return self._until_end and self._assigned is not None and self._at_end >= self._assigned

    def _is_end(self, event: Message) -> bool:
        from confluent_kafka import KafkaError

        error = event.error()
        return error is not None and error.code() == KafkaError._PARTITION_EOF

    def _assign(self, client: Consumer, places: list[TopicPartition]) -> None:
        self._assigned = {place.partition for place in places}
        self._at_end.clear()
        if not places:
            note(f"quorate: group {self.group!r} has more members than partitions: none for this")

    def _revoke(self, client: Consumer, places: list[TopicPartition]) -> None:
        """Before others read them. An exception must not leave a callback of the library."""
        from confluent_kafka import KafkaException

        try:
            if self._commits and self._places():
                client.commit(offsets=self._places(), asynchronous=False)
        except KafkaException as error:
            note(
                f"quorate: not committed before partitions were given to others: "
                f"{clients.describe(error)}; they are read again"
            )
        for place in places:
            self._yielded.pop(place.partition, None)
            self._printed.pop(place.partition, None)
        self._assigned = None
