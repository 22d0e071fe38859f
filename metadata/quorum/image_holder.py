"""This broker's copy of the image, and who waits for it: what voters and observers share."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from metadata.image import ImageDelta, MetadataImage
from metadata.machine import MetadataMachine
from raftlog.ready import SoftState
from raftlog.types import Entry

Watcher = Callable[[MetadataImage, ImageDelta], None]


class ImageHolder:
    """Holds the newest committed image known here, tells watchers what changed in it.

    Where committed entries come from is a subclass's business: the Raft group on a voter, a
    voter's answers on an observer.
    """

    def __init__(self) -> None:
        self._machine = MetadataMachine()
        self._watchers: list[Watcher] = []
        self._leadership_watchers: list[Callable[[SoftState], None]] = []
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._waits = 0
        self.state: SoftState | None = None
        """Who is the controller, as far as known; `role` is this broker's own part."""

    @property
    def image(self) -> MetadataImage:
        """The newest committed image this broker knows."""
        return self._machine.image

    def snapshot(self) -> bytes:
        """The present image as bytes; takes time in proportion to the image."""
        return self._machine.snapshot()

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher(image, delta)` after every committed entry that changed something."""
        self._watchers.append(watcher)

    def watch_leadership(self, watcher: Callable[[SoftState], None]) -> None:
        """Call `watcher` when the controller changes or is confirmed."""
        self._leadership_watchers.append(watcher)

    def when_applied(self, index: int, callback: Callable[[], None]) -> None:
        """Call back once the image covers `index`; at once if it does."""
        if self.image.position.index >= index:
            callback()
            return
        self._waits += 1
        heappush(self._waiting, (index, self._waits, callback))

    # --- for subclasses

    def _apply(self, entry: Entry) -> None:
        """Apply the next committed entry and tell the watchers; `_wake` comes after the last."""
        delta = self._machine.apply(entry)
        if delta:
            self._tell(delta)

    def _install(self, data: bytes) -> None:
        """Replace the image by a snapshot's and tell the watchers; `_wake` comes after it."""
        delta = self._machine.install(data)
        if delta:
            self._tell(delta)

    def _tell(self, delta: ImageDelta) -> None:
        for watcher in self._watchers:
            watcher(self.image, delta)

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.image.position.index:
            heappop(self._waiting)[2]()

    def leadership(self, state: SoftState) -> None:
        """Pass on who is the controller."""
        self.state = state
        for watcher in self._leadership_watchers:
            watcher(state)
