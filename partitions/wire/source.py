"""A function's source in the making: lines, the names it refers to, and fresh local names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """Collects the text of one function; `scope` becomes its globals."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0
        self._shared: dict[object, str] = {}
        self.scope = dict(scope)

    def add(self, line: str) -> None:
        """Append a line at the present depth."""
        self._lines.append("  " * self._depth + line)

    @contextmanager
    def block(self, line: str) -> Iterator[None]:
        """Append `line` and indent what follows."""
        self.add(line)
        self._depth += 1
        yield
        self._depth -= 1

    def fresh(self, prefix: str) -> str:
        """A name not used before."""
        self._names += 1
        return f"{prefix}{self._names}"

    def constant(self, key: object, prefix: str, make: Callable[[], object]) -> str:
        """The global name of a value, made once per `key`."""
        name = self._shared.get(key)
        if name is None:
            name = self._shared[key] = self.fresh(prefix)
            self.scope[name] = make()
        return name

    def compile(self, name: str, title: str) -> Callable[..., Any]:
        """Compile what was collected and return its function `name`."""
        text = "\n".join(self._lines)
        exec(compile(text, f"<{title}>", "exec"), self.scope)
        function: Callable[..., Any] = self.scope[name]
        return function
