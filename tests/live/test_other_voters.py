"""A broker formatted with voters that the cluster does not have says so instead of only waiting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.dev import ports
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import Properties, Voter, read_properties, write_properties
from tests.live.cluster import ROOT, Cluster
from tests.live.conftest import Command
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

NODE = 4
OWN = b"4" * 16
PATIENCE_S = 30.0
STRANGER = b"?" * 16


def another_directory(voters: tuple[Voter, ...]) -> tuple[Voter, ...]:
    """The first voter's address and node, but a directory that it does not have."""
    return (voters[0]._replace(directory_id=STRANGER), *voters[1:])


def itself(voters: tuple[Voter, ...]) -> tuple[Voter, ...]:
    """The new node in the place of the last voter: neither side dials the other then."""
    return (*voters[:-1], Voter(NODE, OWN, "127.0.0.1", voters[-1].port))


@pytest.mark.parametrize("wrong", [another_directory, itself])
def test_the_voters_of_both_are_named(
    common_cluster: Cluster,
    common_quorate: Command,
    tmp_path: Path,
    wrong: Callable[[tuple[Voter, ...]], tuple[Voter, ...]],
) -> None:
    theirs = read_properties(OsFileSystem(common_cluster.brokers[1].config.parent / "data"))
    data = tmp_path / "data"
    data.mkdir()
    voters = wrong(theirs.voters)
    write_properties(OsFileSystem(data), Properties(theirs.cluster_id, NODE, OWN, voters))
    kafka, peer = ports.pick(2)
    settings = [
        f"node.id={NODE}",
        f"log.dirs={data}",
        f"listeners=PLAINTEXT://127.0.0.1:{kafka}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}",
        f"peer.listener=127.0.0.1:{peer}",
    ]
    log = tmp_path / "broker.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "cli.main", "broker", "start", "--stop-with-stdin"),
                *(argument for setting in settings for argument in ("--set", setting)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_for(lambda: b"formatted with other voters" in log.read_bytes(), PATIENCE_S, "it")
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    text = log.read_text(encoding="utf-8")
    for voter in (*voters, *theirs.voters):
        assert f"{voter.node_id}:{voter.directory_id.hex()}" in text
    common_quorate.succeeds("cluster", "status")
