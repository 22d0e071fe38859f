"""`quorate broker start`: settings, their precedence, and how a broker's end becomes a code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from cli.exits import ExitCode
from metadata.configs.loading import BrokerSettings
from raftlog.errors import CorruptLog, DiskFailed, Misconfigured
from tests.cli.conftest import Runner

TOML = """
node.id = 4
log.dirs = "/nowhere"
num.partitions = 2
default.replication.factor = 2
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "broker.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[BrokerSettings], None]], None]:
    """Puts a function in the place of the broker."""

    def install(run_broker: Callable[[BrokerSettings], None]) -> None:
        module = ModuleType("partitions.server.host")
        module.run_broker = run_broker  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return install


Install = Callable[[Callable[[BrokerSettings], None]], None]


def test_file_environment_and_flags_override_in_this_order(
    quorate: Runner, config: Path, host: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_NUM_PARTITIONS", "3")
    monkeypatch.setenv("QUORATE_DEFAULT_REPLICATION_FACTOR", "3")
    monkeypatch.setenv("QUORATE_BOOTSTRAP", "127.0.0.1:1")
    started: list[BrokerSettings] = []
    host(started.append)
    result = quorate(
        "broker", "start", "--config", str(config), "--set", "default.replication.factor=5"
    )
    assert result == type(result)(ExitCode.OK, "", "")
    (settings,) = started
    assert settings.integer("node.id") == 4
    assert settings.integer("num.partitions") == 3
    assert settings.integer("default.replication.factor") == 5


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--set", "num.partitoins=1"), "num.partitions"),
        (("--set", "num.partitions=many"), "num.partitions"),
        (("--set", "num.partitions"), "key=value"),
    ],
)
def test_wrong_settings_are_a_usage_error_that_names_them(
    quorate: Runner, config: Path, arguments: tuple[str, ...], named: str
) -> None:
    result = quorate("broker", "start", "--config", str(config), *arguments)
    assert result.code == ExitCode.USAGE
    assert named in result.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misconfigured("the directory belongs to node 7"), ExitCode.PRECONDITION),
        (CorruptLog("wal-3: round 7 is not what was written"), ExitCode.PRECONDITION),
        (DiskFailed("wal-3: Input/output error"), ExitCode.FAILED),
        (CorruptLog("wal/: it is gone"), ExitCode.PRECONDITION),
        (NotADirectoryError(20, "Not a directory", "metadata"), ExitCode.FAILED),
    ],
)
def test_how_a_broker_ends_decides_the_exit_code(
    quorate: Runner, config: Path, host: Install, error: Exception, code: ExitCode
) -> None:
    def run_broker(settings: BrokerSettings) -> None:
        raise error

    host(run_broker)
    result = quorate("broker", "start", "--config", str(config))
    assert result.code == code
    assert str(error) in result.err
    assert code is not ExitCode.FAILED or "log.dirs /nowhere: " in result.err, "whose paths"


def test_a_directory_that_is_not_there_is_not_made(quorate: Runner, tmp_path: Path) -> None:
    data = tmp_path / "no" / "such"
    result = quorate(
        *("broker", "start", "--set", "node.id=1", "--set", f"log.dirs={data}"),
    )
    assert result.code == ExitCode.PRECONDITION
    assert f"log.dirs {data}: there is no such directory" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_broker_of_dev_stops_when_dev_is_gone(config: Path) -> None:
    """The other end of standard input closes: the process gets SIGTERM."""
    script = (
        "import signal, sys, types\n"
        "module = types.ModuleType('partitions.server.host')\n"
        "module.run_broker = lambda settings: (print('up', flush=True), signal.pause())\n"
        "sys.modules[module.__name__] = module\n"
        "from cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["broker", "start", "--config", str(config), "--stop-with-stdin"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == -15
