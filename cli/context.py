"""Options that several commands share, and the values they arrive as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
DEFAULT_TIMEOUT_S = 10.0

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Address:
    """A place where a broker may listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class AddressList(click.ParamType[tuple[Address, ...]]):
    """`host:port[,host:port...]`, IPv6 hosts in brackets."""

    name = "host:port,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Address, ...]:
        """Parse, or fail with the part that is wrong."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts:
            self.fail("no address given; expected host:port", param, ctx)
        return tuple(self._address(part, param, ctx) for part in parts)

    def _address(
        self, part: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        host, colon, port = part.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            self.fail(f"{part!r} is not host:port (for example {DEFAULT_BOOTSTRAP})", param, ctx)
        return Address(host.strip("[]"), int(port))


class Setting(click.ParamType[tuple[str, str]]):
    """`key=value`."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first '='."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not key=value", param, ctx)
        return key.strip(), text.strip()


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster a command talks to, and how long it may take."""

    bootstrap: tuple[Address, ...]
    timeout_s: float
    client_settings: tuple[tuple[str, str], ...] = ()

    @property
    def servers(self) -> str:
        """The addresses as Kafka clients write them."""
        return ",".join(map(str, self.bootstrap))


def output_option(command: Command) -> Command:
    """Add `--output`, passed on as `output`."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        envvar="QUORATE_OUTPUT",
        help="Form of the result: for people, or for programs.",
    )(command)


def target_options(command: Command) -> Command:
    """Add `--bootstrap`, `--timeout` and `--client-setting`, passed on as one Target."""

    def with_target(*args: Any, **kwargs: Any) -> Any:
        kwargs["target"] = Target(
            kwargs.pop("bootstrap"), kwargs.pop("timeout_s"), kwargs.pop("client_settings")
        )
        return command(*args, **kwargs)

    with_target.__doc__ = command.__doc__
    with_target.__name__ = command.__name__
    # Options that click's decorators below this one have already attached.
    with_target.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Any = with_target
    for option in reversed(_target_options()):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _target_options() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--bootstrap",
            "-b",
            type=AddressList(),
            default=DEFAULT_BOOTSTRAP,
            show_default=True,
            envvar="QUORATE_BOOTSTRAP",
            help="Addresses of the cluster; one that answers is enough. [env: QUORATE_BOOTSTRAP]",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0.1, max=3600),
            default=DEFAULT_TIMEOUT_S,
            show_default=True,
            metavar="SECONDS",
            help="Give up after this long without an answer.",
        ),
        click.option(
            "--client-setting",
            "-X",
            "client_settings",
            type=Setting(),
            multiple=True,
            help="A librdkafka setting, for what has no option here. May be repeated.",
        ),
    ]
