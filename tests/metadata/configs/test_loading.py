from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.configs import BROKER_CONFIGS, Endpoint, InvalidSettings, load_settings
from metadata.configs.loading import environment_name

MINIMAL = 'node.id = 1\nlog.dirs = "/data"\n'


def problems(
    text: str | None = MINIMAL,
    environment: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> str:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(text, environment or {}, flags or {}, file_name="q.toml")
    assert str(refused.value).count("\n- ") == len(refused.value.problems)
    return "\n".join(refused.value.problems)


def test_defaults_and_the_file() -> None:
    settings = load_settings("node.id = 1\n[log]\ndirs = '/data'\nsegment.bytes = 2048\n")
    assert settings.integer("node.id") == 1
    assert settings.text("log.dirs") == "/data"
    assert settings.integer("log.segment.bytes") == 2048
    assert settings.integer("num.partitions") == 1
    assert settings.switch("auto.create.topics.enable") is True
    assert settings.optional_text("broker.rack") is None
    assert settings.static == {"node.id": "1", "log.dirs": "/data", "log.segment.bytes": "2048"}
    assert set(settings.values) == set(BROKER_CONFIGS)


def test_flags_win_over_environment_wins_over_file() -> None:
    environment = {"QUORATE_NUM_PARTITIONS": "2", "QUORATE_BROKER_RACK": "env", "PATH": "/bin"}
    settings = load_settings(
        MINIMAL + 'num.partitions = 1\nbroker.rack = "file"\nfetch.max.bytes = 1024\n',
        environment,
        {"num.partitions": "3"},
        file_name="q.toml",
    )
    assert settings.integer("num.partitions") == 3
    assert settings.text("broker.rack") == "env"
    assert settings.integer("fetch.max.bytes") == 1024
    assert str(settings.origins["num.partitions"]) == "flag: num.partitions"
    assert str(settings.origins["broker.rack"]) == "environment: QUORATE_BROKER_RACK"
    assert str(settings.origins["fetch.max.bytes"]) == "q.toml: fetch.max.bytes"


names = st.sampled_from(["num.partitions", "max.connections", "raft.max.append.bytes"])


@given(*[st.dictionaries(names, st.integers(1, 9)) for _ in range(3)])
def test_precedence_is_that_of_merged_dictionaries(
    file: dict[str, int], environment: dict[str, int], flags: dict[str, int]
) -> None:
    text = MINIMAL + "".join(f'"{name}" = {value}\n' for name, value in file.items())
    variables = {environment_name(name): str(value) for name, value in environment.items()}
    settings = load_settings(text, variables, {n: str(v) for n, v in flags.items()})
    for name, value in (file | environment | flags).items():
        assert settings.integer(name) == value
        assert settings.static[name] == str(value)


def test_a_name_in_a_stronger_layer_wins_over_an_alias_in_a_weaker() -> None:
    settings = load_settings(
        MINIMAL + "log.retention.ms = 5\n", {"QUORATE_LOG_RETENTION_HOURS": "2"}
    )
    assert settings.integer("log.retention.ms") == 7_200_000
    assert settings.static["log.retention.ms"] == "7200000"


def test_aliases_are_translated() -> None:
    settings = load_settings('broker.id = 4\nlog.dir = "/d"\nlog.retention.minutes = -1\n')
    assert settings.integer("node.id") == 4
    assert settings.text("log.dirs") == "/d"
    assert settings.integer("log.retention.ms") == -1


def test_lists_and_listeners() -> None:
    settings = load_settings(
        MINIMAL
        + 'listeners = ["IN://10.0.0.1:9092", "EXT://0.0.0.0:9094"]\n'
        + 'advertised.listeners = "EXT://kafka.example.com:19094"\n'
        + 'listener.security.protocol.map = "IN:PLAINTEXT,EXT:PLAINTEXT"\n'
        + 'peer.listener = "[::]:9093"\npeer.advertised.listener = "10.0.0.1:9093"\n'
    )
    assert [e.port for e in settings.listeners] == [9092, 9094]
    assert settings.advertised_listeners == (
        Endpoint("IN", "10.0.0.1", 9092),
        Endpoint("EXT", "kafka.example.com", 19094),
    )
    assert settings.security_protocols == {"IN": "PLAINTEXT", "EXT": "PLAINTEXT"}
    assert settings.peer_listener == Endpoint("PEER", "::", 9093)
    assert settings.peer_advertised_listener == Endpoint("PEER", "10.0.0.1", 9093)
    assert settings.voters == ()


def test_voters() -> None:
    settings = load_settings(MINIMAL + 'controller.quorum.voters = "1@a:1,2@b:2"\n')
    assert [voter.node for voter in settings.voters] == [1, 2]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = problems(
        "num.partition = 3\nmax.connections = 0\nbroker.rack = 1.5\n",
        {"QUORATE_NODE_IDS": "1"},
        {"listeners": "nonsense"},
    )
    assert "q.toml: 'num.partition' is not a setting of a broker. Did you mean num.part" in said
    assert "q.toml: max.connections = '0' is not a whole number from 1" in said
    assert "q.toml: broker.rack is neither text" in said
    assert "environment: QUORATE_NODE_IDS" in said
    assert "Did you mean QUORATE_NODE_ID?" in said
    assert "flag: listeners = 'nonsense' is not a list of NAME://host:port" in said
    assert "node.id is not set" in said
    assert "log.dirs is not set" in said


def test_many_problems_are_cut() -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(MINIMAL, flags={f"x{n}": "1" for n in range(100)})
    assert len(refused.value.problems) == 100
    assert "and 80 more" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max.connections = 3\nmax.connections.per.ip = 3", '"max.connections" = 100'),
        ("node.id = 1\nnode.id = 2", "overwrite"),
        ("x = [", "q.toml"),
        ("a = " + "[" * 50_000, "q.toml"),
        ("#" * 2_000_000, "larger than"),
        ("retention.ms = 1", "a broker's default is log.retention.ms"),
        (MINIMAL + "broker.id = 1", "node.id is already given by node.id"),
        (MINIMAL + "listeners = [[1]]", "neither text"),
        (MINIMAL + "log.start = 2020-01-01", "neither text"),
        (MINIMAL + '"log.dirs" = "/other"', "log.dirs is already given"),
    ],
)
def test_files_that_are_refused(text: str, said: str) -> None:
    assert said in problems(text)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"broker.heartbeat.interval.ms": "9000"}, "must be less than broker.session.timeout.ms"),
        ({"raft.heartbeat.interval.ms": "600"}, "less than raft.election.timeout.min.ms"),
        ({"raft.election.timeout.min.ms": "1201"}, "at most raft.election.timeout.max.ms"),
        ({"queued.max.request.bytes": "2048"}, "socket.request.max.bytes"),
        ({"message.max.bytes": "60000000", "socket.request.max.bytes": "60000000"}, "not fit"),
        ({"listeners": "PLAINTEXT://0.0.0.0:1"}, "advertised.listeners must say"),
        ({"listeners": "A://host:1"}, "listeners: A has no protocol"),
        ({"advertised.listeners": "B://host:1"}, "B is not one of listeners"),
        ({"peer.listener": "0.0.0.0:9093"}, "peer.advertised.listener"),
        ({"peer.advertised.listener": "host:0"}, "port 0"),
        ({"peer.listener": "127.0.0.1:9092"}, "both bind 127.0.0.1:9092"),
    ],
)
def test_settings_that_contradict_each_other(flags: dict[str, str], said: str) -> None:
    assert said in problems(MINIMAL, flags=flags)


def test_ports_taken_by_the_system_are_fine() -> None:
    flags = {"listeners": "PLAINTEXT://127.0.0.1:0", "peer.listener": "127.0.0.1:0"}
    settings = load_settings(MINIMAL, flags=flags)
    assert settings.advertised_listeners[0].port == 0


def test_a_variable_is_not_like_another_for_its_prefix() -> None:
    assert "Did you mean" not in problems(MINIMAL, {"QUORATE_FOO_BAR": "1"})
    close = problems(MINIMAL, {"QUORATE_NUM_PARTITOINS": "1"})
    assert "Did you mean QUORATE_NUM_PARTITIONS?" in close


def test_variables_of_other_uses_can_be_ignored() -> None:
    environment = {"QUORATE_SETTINGS_FILE": "q.toml"}
    load_settings(MINIMAL, environment, ignored_environment=("QUORATE_SETTINGS_FILE",))
    assert "QUORATE_SETTINGS_FILE" in problems(MINIMAL, environment)


def test_asking_for_the_wrong_type_is_a_mistake() -> None:
    settings = load_settings(MINIMAL)
    for wrong in (settings.text, settings.switch):
        with pytest.raises(TypeError):
            wrong("node.id")
    with pytest.raises(TypeError):
        settings.integer("log.dirs")
    with pytest.raises(KeyError):
        settings.integer("node.ids")
