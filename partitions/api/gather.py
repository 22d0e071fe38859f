"""One response made of several answers that arrive one by one.

The response body is built at the start, each unfinished part saying REQUEST_TIMED_OUT. An
answer overwrites its part; the body is sent when the last one came or the time is up, and
what is unfinished then says the truth already.
"""

from __future__ import annotations

from partitions.api.context import Answer, Body, CancellablePending
from partitions.api.deadlines import Deadline, Deadlines


class Gather(CancellablePending):
    """Counts parts: `expect` each, `start` once, `arrived` per part, in any order of these.

    A part may arrive before `start`; a Gather that is never started (its handler failed half
    way) ignores what arrives.
    """

    __slots__ = ("_body", "_deadline", "_missing")

    def __init__(self) -> None:
        super().__init__()
        self._body: Body = None
        self._deadline: Deadline | None = None
        self._missing = 0

    def expect(self) -> None:
        """One more part will arrive."""
        self._missing += 1

    def start(self, body: Body, deadlines: Deadlines, when_us: int) -> Answer:
        """The answer: `body` if nothing is missing, else this Pending, due at `when_us`."""
        if self._missing == 0:
            return self.finish(body)
        self._body = body
        self._deadline = deadlines.add(when_us, self._complete)
        return self

    def arrived(self) -> None:
        """One part is finished; call exactly once per part, after it was filled in."""
        self._missing -= 1
        if self._missing == 0 and self._deadline is not None and not self.done:
            self._deadline.cancel()
            self._complete()

    def finish(self, body: Body) -> Body:
        """The body to send; for subclasses that learn something while waiting."""
        return body

    def cancel(self) -> None:
        """Let the time-out go; late parts are ignored."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._body = None
        self.done = True

    def _complete(self) -> None:
        body, self._body = self._body, None
        self.resolve_with(lambda: self.finish(body))
