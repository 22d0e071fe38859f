"""The parts of `quorate dev` that run no process: plan, ports, restarts, probe, ready file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.context import Address
from cli.dev import directories, ports, probe, ready
from cli.dev import plan as plans
from cli.dev.restarts import (
    AT_ONCE_S,
    DELAY_MAX_S,
    FAILED_STARTS_MAX,
    RESTARTS_MAX,
    STABLE_S,
    RestartPolicy,
)
from cli.exits import CommandFailed, ExitCode
from metadata.configs.loading import load_settings
from partitions import wire
from raftlog.disk import OsFileSystem, read_properties, replace_properties
from raftlog.types import ReplicaId
from tests.cli.conftest import Runner
from tests.cli.fake_broker import answer


def test_ports_follow_the_first_and_peers_are_a_hundred_higher(tmp_path: Path) -> None:
    plan = plans.create(tmp_path, 3, 9092)
    assert [broker.kafka.port for broker in plan.brokers] == [9092, 9093, 9094]
    assert [broker.peer.port for broker in plan.brokers] == [9192, 9193, 9194]
    assert [broker.admin.port for broker in plan.brokers] == [9292, 9293, 9294]
    assert len({broker.directory for broker in plan.brokers}) == 3


def test_port_zero_picks_different_free_ports_outside_the_ephemeral_range(tmp_path: Path) -> None:
    addresses = plans.create(tmp_path, 5, 0).addresses()
    assert len({address.port for address in addresses}) == 15
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(address.port < low for address in addresses)


@pytest.mark.parametrize("port", [65535, 65500])
def test_ports_that_do_not_fit_are_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        plans.create(tmp_path, 3, port)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_plan_is_kept_and_found_again(tmp_path: Path) -> None:
    first = plans.obtain(tmp_path, 3, 0)
    assert plans.obtain(tmp_path, None, None) == first
    assert plans.obtain(tmp_path, 3, first.brokers[0].kafka.port) == first


def test_a_plan_of_which_nothing_was_made_binds_nobody(tmp_path: Path) -> None:
    """A first start found its port taken: other ports are what its message says to try."""
    first = plans.obtain(tmp_path, None, 9092)
    other = plans.obtain(tmp_path, 1, 0)
    assert len(other.brokers) == 1
    assert other.brokers[0].kafka != first.brokers[0].kafka
    other.brokers[0].data.mkdir(parents=True)
    assert plans.obtain(tmp_path, None, None) == other


def test_a_plan_of_before_admin_ports_gets_some_and_keeps_them(tmp_path: Path) -> None:
    first = plans.obtain(tmp_path, 3, 9092)
    path = tmp_path / plans.PLAN_FILE
    document = json.loads(path.read_text())
    for broker in document["brokers"]:
        del broker["admin"]
    path.write_text(json.dumps(document))
    second = plans.obtain(tmp_path, None, None)
    assert plans.obtain(tmp_path, None, None) == second
    assert len({address.port for address in second.addresses()}) == 9
    assert [broker.peer for broker in second.brokers] == [broker.peer for broker in first.brokers]


@pytest.mark.parametrize(("nodes", "port"), [(5, None), (None, 1234)])
def test_a_kept_plan_is_not_contradicted(
    tmp_path: Path, nodes: int | None, port: int | None
) -> None:
    plans.obtain(tmp_path, 3, 9092).brokers[0].data.mkdir(parents=True)
    with pytest.raises(CommandFailed) as caught:
        plans.obtain(tmp_path, nodes, port)
    assert caught.value.exit_code == ExitCode.PRECONDITION
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 3}', '{"format": 1, "brokers": [{}]}']
)
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / plans.PLAN_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CommandFailed) as caught:
        plans.obtain(tmp_path, None, None)
    assert plans.PLAN_FILE in caught.value.message


def prepared(root: Path) -> dict[int, str]:
    """Plan and directories of three brokers, as a start of `quorate dev` leaves them."""
    return directories.prepare(plans.obtain(root, 3, 9092), root / plans.PLAN_FILE, fsync=True)


def test_a_directory_is_formatted_once_and_never_again(tmp_path: Path) -> None:
    """A wiped voter under its old id would vote as if it still knew what it promised."""
    assert prepared(tmp_path) == {}
    assert prepared(tmp_path) == {}
    data = plans.obtain(tmp_path, None, None).brokers[0].data
    shutil.rmtree(data)
    refused = prepared(tmp_path)
    assert list(refused) == [1]
    assert str(data) in refused[1]
    plan = plans.obtain(tmp_path, None, None)
    (advice,) = directories.about_lost(plan, refused)
    assert "the other voters are a majority" in advice
    (worse,) = directories.about_lost(plan, {1: "", 2: ""})
    assert "quorate cluster recover" in worse
    assert "majority" not in worse
    assert all("another --data directory" in each for each in (advice, worse))
    assert directories.about_lost(plan, {2: "its port is taken"}) == []
    data.mkdir()
    assert list(prepared(tmp_path)) == [1]
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("change", [{"recovery": f"1.{7:016x}"}, {"abandoned": True}])
def test_what_went_on_by_a_forced_recovery_is_not_to_be_removed(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    prepared(tmp_path)
    broker, other, _ = plans.obtain(tmp_path, None, None).brokers
    if "abandoned" in change:
        change = {"abandoned": (ReplicaId(other.id, other.directory),)}
    fs = OsFileSystem(broker.data)
    replace_properties(fs, read_properties(fs)._replace(**change))
    refused = prepared(tmp_path)
    assert list(refused) == [1]
    assert f"quorate broker start --config {broker.config}" in refused[1]
    assert "remove" not in refused[1]


@pytest.mark.parametrize("formatted", [True, False])
def test_a_file_in_place_of_a_data_directory_is_called_one(tmp_path: Path, formatted: bool) -> None:
    data = plans.obtain(tmp_path, 3, 9092).brokers[0].data
    if formatted:
        prepared(tmp_path)
        shutil.rmtree(data)
    data.parent.mkdir(parents=True, exist_ok=True)
    data.touch()
    refused = prepared(tmp_path)
    assert list(refused) == [1]
    assert refused[1].startswith(f"{data} is a file")


def test_a_start_that_was_cut_short_formats_the_rest(tmp_path: Path) -> None:
    """Formatted but not yet remembered: the ports were taken, or the machine stopped."""
    plan = plans.obtain(tmp_path, 3, 9092)
    prepared(tmp_path)
    shutil.rmtree(plan.brokers[2].data)
    plans.save(plan, tmp_path / plans.PLAN_FILE)
    assert prepared(tmp_path) == {}
    assert all(broker.formatted for broker in plans.obtain(tmp_path, None, None).brokers)


@pytest.mark.parametrize("ran", [True, False])
def test_a_plan_of_a_former_release_knows_what_was_formatted(tmp_path: Path, ran: bool) -> None:
    plan = plans.obtain(tmp_path, 3, 9092)
    path = tmp_path / plans.PLAN_FILE
    document = json.loads(path.read_text(encoding="utf-8"))
    document["format"] = 1
    for broker in document["brokers"]:
        del broker["formatted"]
    path.write_text(json.dumps(document), encoding="utf-8")
    if ran:
        plan.brokers[0].log.parent.mkdir()
        plan.brokers[0].log.touch()
    assert plans.obtain(tmp_path, None, None) == plan.with_formatted([1, 2, 3] if ran else [])
    assert sorted(prepared(tmp_path)) == ([1, 2, 3] if ran else [])


def test_a_directory_formatted_otherwise_keeps_one_broker_down_only(tmp_path: Path) -> None:
    prepared(tmp_path)
    properties = plans.obtain(tmp_path, None, None).brokers[1].data / "meta.properties"
    properties.write_bytes(properties.read_bytes()[:20])
    refused = prepared(tmp_path)
    assert list(refused) == [2]
    assert "meta.properties" in refused[2]


@pytest.mark.parametrize("fsync", [True, False])
def test_the_brokers_accept_the_settings_written_for_them(tmp_path: Path, fsync: bool) -> None:
    plan = plans.create(tmp_path / 'a "quoted" \\ name', 3, 9092)
    text = plans.toml(plans.settings(plan.brokers[1], 3, fsync=fsync))
    assert tomllib.loads(text)["node.id"] == 2
    settings = load_settings(text)
    assert settings.text("log.dirs") == str(plan.brokers[1].data)
    assert settings.peer_listener.port == 9193
    assert settings.listeners[0].port == 9093
    assert settings.integer("default.replication.factor") == 3
    assert settings.switch("unsafe.no.fsync") is not fsync


def test_a_taken_port_is_reported_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ports.try_to_listen(Address("127.0.0.1", port)) is not None
        with pytest.raises(CommandFailed) as caught:
            ports.check([Address("127.0.0.1", port)])
    assert caught.value.exit_code == ExitCode.PRECONDITION
    assert f"port {port} is in use by " in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    ports.check([Address("127.0.0.1", port)])


def test_of_a_port_that_a_dev_cluster_has_the_dev_is_to_be_stopped(tmp_path: Path) -> None:
    """Its broker would be started again."""
    child = "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    child += "print(s.getsockname()[1], flush=True); input()"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[3]])"
    with subprocess.Popen(
        [sys.executable, "-c", parent, "cli.main", "dev", child],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as dev:
        assert dev.stdout is not None
        port = int(dev.stdout.readline())
        with pytest.raises(CommandFailed, match=f"`quorate dev` with pid {dev.pid}, which would"):
            ports.check([Address("127.0.0.1", port)])
        dev.communicate("\n")


@pytest.mark.parametrize("port", [65534, 65434])
def test_a_port_that_is_too_high_is_refused_with_the_highest(tmp_path: Path, port: int) -> None:
    with pytest.raises(CommandFailed, match=r"At most --port 65333$") as caught:
        plans.create(tmp_path, 3, port)
    assert caught.value.exit_code == ExitCode.USAGE
    assert plans.create(tmp_path, 3, 65333).brokers[2].admin.port == 65535


def test_dev_refuses_to_start_beside_something_else(quorate: Runner, tmp_path: Path) -> None:
    port = ports.pick(1)[0]
    with socket.create_server(("127.0.0.1", port)):
        result = quorate("dev", "--port", str(port), "--data", str(tmp_path))
    assert result.code == ExitCode.PRECONDITION
    assert f"port {port} is in use" in result.err
    assert not list(tmp_path.glob("broker-*"))


@given(st.lists(st.tuples(st.floats(0, 2 * STABLE_S), st.booleans()), max_size=200))
def test_restarts_are_bounded_and_their_delays_too(deaths: list[tuple[float, bool]]) -> None:
    policy = RestartPolicy()
    since_stable = at_once = 0
    for uptime_s, killed in deaths:
        if uptime_s >= STABLE_S:
            since_stable = 0
        at_once = at_once + 1 if uptime_s < AT_ONCE_S and not killed else 0
        delay_s = policy.died(uptime_s, killed=killed)
        if delay_s is None:
            assert at_once >= FAILED_STARTS_MAX or since_stable >= RESTARTS_MAX
            assert policy.reason
            return
        since_stable += 1
        assert 0 < delay_s <= DELAY_MAX_S
        assert at_once < FAILED_STARTS_MAX
        assert since_stable <= RESTARTS_MAX


def test_the_probe_reads_what_the_broker_writes() -> None:
    """The hand-written request and parser against the broker's own codec."""
    header, body = wire.decode_request(probe.request()[4:])
    assert (header.api_key, header.api_version) == (probe.METADATA, probe.VERSION)
    assert body.topics == []
    types = wire.messages(probe.METADATA)
    response = types.MetadataResponse(
        brokers=[
            types.MetadataResponseBroker(node_id=7, host="b", port=1, rack=None),
            types.MetadataResponseBroker(node_id=2, host="a", port=2, rack="r"),
        ],
        controller_id=7,
    )
    buffers = wire.encode_response(probe.METADATA, probe.VERSION, header.correlation_id, response)
    assert probe.parse(b"".join(buffers)[4:]) == probe.View((2, 7), 7)


def test_the_probe_survives_every_truncation() -> None:
    whole = answer(probe.CORRELATION, [1, 2, 3])[4:]
    assert probe.parse(whole) == probe.View((1, 2, 3), 1)
    for length in range(len(whole) - 4):
        with pytest.raises(ValueError, match="too early"):
            probe.parse(whole[:length])


def test_the_ready_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    plan = plans.create(tmp_path, 2, 9092)
    path = tmp_path / "ready.json"
    ready.write(path, ready.document(plan, {1: 10, 2: 20}, {}))
    ready.write(path, ready.document(plan, {1: 11}, {2: "its disk is gone"}))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["bootstrap"] == "127.0.0.1:9092,127.0.0.1:9093"
    assert [broker["pid"] for broker in content["brokers"]] == [11, None]
    assert [broker["down"] for broker in content["brokers"]] == [None, "its disk is gone"]
    assert [broker["peer"] for broker in content["brokers"]] == ["127.0.0.1:9192", "127.0.0.1:9193"]
    assert os.listdir(tmp_path) == ["ready.json"]
