"""When brokers were last heard from: soft state of the leading controller."""

from __future__ import annotations

from metadata.image import MetadataImage


class Sessions:
    """Node -> time of the last heartbeat. All sessions have one length, so the order of
    heartbeats is the order of expiry, and every operation is O(1) per broker."""

    __slots__ = ("_heard", "timeout_us")

    def __init__(self, timeout_us: int) -> None:
        """`timeout_us`: silence after which a broker is expired; > 0."""
        if timeout_us <= 0:
            raise ValueError(f"session time-out must be positive, not {timeout_us} us")
        self.timeout_us = timeout_us
        self._heard: dict[int, int] = {}  # oldest first

    def start(self, image: MetadataImage, now_us: int) -> None:
        """A new leader does not know who was alive: every unfenced broker gets a full session."""
        self._heard = {broker.node: now_us for broker in image.unfenced()}

    def touch(self, node: int, now_us: int) -> None:
        """The broker was heard from. `now_us` never goes back."""
        self._heard.pop(node, None)
        self._heard[node] = now_us

    def end(self, node: int) -> None:
        """Forget the broker (it was fenced or removed)."""
        self._heard.pop(node, None)

    def live(self, node: int, now_us: int) -> bool:
        """The broker was heard from within the time-out."""
        heard = self._heard.get(node)
        return heard is not None and now_us - heard < self.timeout_us

    def expired(self, now_us: int) -> list[int]:
        """Brokers silent for the time-out or longer, the longest first."""
        nodes = []
        for node, heard in self._heard.items():
            if now_us - heard < self.timeout_us:
                break
            nodes.append(node)
        return nodes

    @property
    def deadline(self) -> int | None:
        """When the next session expires if nothing is heard; None without sessions."""
        for heard in self._heard.values():
            return heard + self.timeout_us
        return None
