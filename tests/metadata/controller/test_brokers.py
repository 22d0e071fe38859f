from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata import records as r
from metadata.controller import (
    BLOCK_SIZE,
    BrokerRegistration,
    Heartbeat,
    Pipeline,
    ProducerIdBlock,
    Sessions,
    allot_producer_ids,
    create_cluster,
    fence_expired,
    fence_lost,
    heartbeat,
    raise_feature_level,
    register_broker,
    remove_broker,
)
from metadata.errors import ErrorCode, MetadataError
from metadata.image import EMPTY_IMAGE, MetadataImage
from tests.metadata.samples import CLUSTER, FEATURES, after, cluster, replica, uuid

TIMEOUT = 9_000_000


def refused(code: ErrorCode, match: str = "") -> Any:
    return pytest.raises(MetadataError, match=f"{code.value}.*{match}")


def registration(node: int = 0, **changes: Any) -> BrokerRegistration:
    return BrokerRegistration(
        cluster_id=CLUSTER,
        node=node,
        directory=uuid(1000 + node),
        incarnation=uuid(2000 + node),
        listeners=(r.Listener("PLAINTEXT", f"host{node}", 9092, "PLAINTEXT"),),
        peer_host=f"host{node}",
        peer_port=9093,
        rack=None,
        features=FEATURES,
    )._replace(**changes)


class Controller:
    """A pipeline whose decisions commit at once, with sessions and a clock."""

    def __init__(self, image: MetadataImage) -> None:
        self.pipeline = Pipeline(image)
        self.sessions = Sessions(TIMEOUT)
        self.now = 0

    def register(self, request: BrokerRegistration) -> int:
        image = self.pipeline.image
        decision = register_broker(image, request, self.sessions, self.now)
        return self.pipeline.proposed(decision).epoch

    def beat(self, node: int, epoch: int, **changes: Any) -> bool:
        request = Heartbeat(node, epoch, caught_up=True)._replace(**changes)
        decision = heartbeat(self.pipeline.image, request, self.sessions, self.now)
        return not self.pipeline.proposed(decision).fenced

    def expire(self) -> tuple[int, ...]:
        return self.pipeline.proposed(fence_expired(self.pipeline.image, self.sessions, self.now))

    def fenced(self, node: int) -> bool:
        return self.pipeline.image.brokers[node].fenced


@pytest.fixture
def controller() -> Controller:
    return Controller(after(EMPTY_IMAGE, [r.ClusterCreated(CLUSTER, 1)]))


def test_a_cluster_is_created_once() -> None:
    decision = create_cluster(EMPTY_IMAGE, "c", 1)
    image = after(EMPTY_IMAGE, decision.records)
    assert create_cluster(image, "c", 1).records == ()
    with refused(ErrorCode.INCONSISTENT_CLUSTER_ID):
        create_cluster(image, "d", 1)


def test_a_broker_joins_fenced_lives_and_expires(controller: Controller) -> None:
    epoch = controller.register(registration())
    assert controller.fenced(0)
    assert not controller.beat(0, epoch, caught_up=False)
    assert controller.beat(0, epoch)
    assert not controller.fenced(0)
    controller.now = TIMEOUT - 1
    assert controller.expire() == ()
    assert controller.beat(0, epoch)
    controller.now = 2 * TIMEOUT - 2
    assert controller.expire() == ()
    controller.now = 2 * TIMEOUT - 1
    assert controller.expire() == (0,)
    assert controller.fenced(0)
    assert controller.expire() == ()
    assert controller.beat(0, epoch), "a heartbeat brings it back"


def test_a_draining_broker_is_fenced_at_once(controller: Controller) -> None:
    epoch = controller.register(registration())
    assert controller.beat(0, epoch)
    assert not controller.beat(0, epoch, want_fence=True)
    assert controller.fenced(0)
    controller.now = TIMEOUT
    assert controller.expire() == ()
    assert controller.sessions.deadline is None


def test_requests_of_earlier_incarnations_are_stale(controller: Controller) -> None:
    old = controller.register(registration())
    new = controller.register(registration(incarnation=uuid(9)))
    assert new > old
    with refused(ErrorCode.STALE_BROKER_EPOCH):
        controller.beat(0, old)
    with refused(ErrorCode.STALE_BROKER_EPOCH):
        allot_producer_ids(controller.pipeline.image, 0, old)
    with refused(ErrorCode.BROKER_ID_NOT_REGISTERED):
        controller.beat(7, new)
    assert controller.beat(0, new)


def test_the_same_process_asking_again_gets_the_same_epoch(controller: Controller) -> None:
    epoch = controller.register(registration())
    assert controller.register(registration()) == epoch
    moved = registration(peer_port=9999)
    assert controller.register(moved) == epoch + 1
    with refused(ErrorCode.INVALID_REGISTRATION, "one incarnation"):
        controller.register(registration(peer_port=9999, directory=uuid(5)))


def test_a_live_node_cannot_be_taken_over_by_another_directory(controller: Controller) -> None:
    epoch = controller.register(registration())
    controller.beat(0, epoch)
    other = registration(directory=uuid(5), incarnation=uuid(6))
    controller.now = TIMEOUT - 1
    with refused(ErrorCode.DUPLICATE_BROKER_REGISTRATION):
        controller.register(other)
    controller.now = TIMEOUT
    decision = register_broker(
        controller.pipeline.image, other, controller.sessions, controller.now
    )
    assert decision.result.replaced_directory == registration().directory
    assert controller.register(other) == epoch + 1


def test_a_fenced_node_that_is_heard_from_cannot_be_taken_over_either(
    controller: Controller,
) -> None:
    epoch = controller.register(registration())
    assert not controller.beat(0, epoch, caught_up=False)
    with refused(ErrorCode.DUPLICATE_BROKER_REGISTRATION):
        controller.register(registration(directory=uuid(5), incarnation=uuid(6)))


def test_fencing_that_was_not_proposed_is_tried_again(controller: Controller) -> None:
    epoch = controller.register(registration())
    controller.beat(0, epoch)
    controller.now = TIMEOUT
    lost = fence_expired(controller.pipeline.image, controller.sessions, controller.now)
    assert lost.result == (0,)
    assert not controller.fenced(0)
    controller.now = 2 * TIMEOUT
    assert controller.expire() == (0,)
    assert controller.fenced(0)
    controller.now = 3 * TIMEOUT
    assert controller.expire() == ()
    assert controller.sessions.deadline is None


def test_a_restarted_process_with_its_directory_joins_at_once(controller: Controller) -> None:
    controller.beat(0, controller.register(registration()))
    decision = register_broker(
        controller.pipeline.image, registration(incarnation=uuid(6)), controller.sessions, 1
    )
    assert decision.result.replaced_directory is None
    assert controller.pipeline.proposed(decision).epoch == 1
    assert controller.fenced(0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cluster_id": "other"}, ErrorCode.INCONSISTENT_CLUSTER_ID),
        ({"listeners": ()}, ErrorCode.INVALID_REGISTRATION),
        ({"listeners": registration().listeners * 2}, ErrorCode.INVALID_REGISTRATION),
        ({"listeners": (r.Listener("A", "0.0.0.0", 1, "P"),)}, ErrorCode.INVALID_REGISTRATION),
        ({"listeners": (r.Listener("A", "host", 0, "P"),)}, ErrorCode.INVALID_REGISTRATION),
        ({"peer_host": "::"}, ErrorCode.INVALID_REGISTRATION),
        ({"peer_port": 0}, ErrorCode.INVALID_REGISTRATION),
        ({"directory": b"short"}, ErrorCode.INVALID_REGISTRATION),
        ({"incarnation": "x" * 16}, ErrorCode.INVALID_REGISTRATION),
        ({"node": -1}, ErrorCode.INVALID_REGISTRATION),
        ({"node": True}, ErrorCode.INVALID_REGISTRATION),
        ({"peer_port": "9093"}, ErrorCode.INVALID_REGISTRATION),
        ({"peer_host": "h" * 256}, ErrorCode.INVALID_REGISTRATION),
        ({"rack": ""}, ErrorCode.INVALID_REGISTRATION),
        ({"rack": "\ud800"}, ErrorCode.INVALID_REGISTRATION),
        ({"listeners": list(registration().listeners)}, ErrorCode.INVALID_REGISTRATION),
        (
            {"listeners": tuple(r.Listener(f"L{n}", "host", 1, "P") for n in range(17))},
            ErrorCode.INVALID_REGISTRATION,
        ),
        ({"directory": uuid(1001)}, ErrorCode.INVALID_REGISTRATION),
        ({"features": ()}, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_registrations_that_are_wrong_are_refused(
    controller: Controller, changes: dict[str, Any], code: ErrorCode
) -> None:
    controller.register(registration(1))
    with refused(code):
        controller.register(registration(**changes))


def test_a_new_leader_gives_everybody_a_full_session() -> None:
    image = after(cluster([None] * 3), [r.BrokerFenced(2, 2)])
    sessions = Sessions(TIMEOUT)
    sessions.start(image, 50)
    assert sessions.deadline == 50 + TIMEOUT
    assert sessions.live(0, 49 + TIMEOUT)
    assert not sessions.live(2, 50)
    assert fence_expired(image, sessions, 49 + TIMEOUT).result == ()
    assert fence_expired(image, sessions, 50 + TIMEOUT).result == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=40))
def test_sessions_agree_with_a_dictionary(beats: list[tuple[int, int]]) -> None:
    sessions, oracle, now = Sessions(20), dict[int, int](), 0
    for node, pause in beats:
        now += pause
        sessions.touch(node, now)
        oracle[node] = now
        assert sorted(sessions.expired(now)) == sorted(
            n for n, t in oracle.items() if now - t >= 20
        )
        assert sessions.deadline == min(oracle.values()) + 20
        assert all(sessions.live(n, now) == (now - t < 20) for n, t in oracle.items())


def test_brokers_are_removed_only_when_dead_and_empty() -> None:
    image = after(
        cluster([None, None]),
        [r.TopicCreated(uuid(1), "t"), r.PartitionAssigned(uuid(1), 0, 1, (replica(0),), 0)],
    )
    with refused(ErrorCode.BROKER_ID_NOT_REGISTERED):
        remove_broker(image, 9)
    with refused(ErrorCode.POLICY_VIOLATION, "alive"):
        remove_broker(image, 0)
    dead = after(image, [r.BrokerFenced(0, 0), r.BrokerFenced(1, 1)])
    with refused(ErrorCode.POLICY_VIOLATION, "1 replicas"):
        remove_broker(dead, 0)
    assert 1 not in after(dead, remove_broker(dead, 1).records).brokers


def test_producer_id_blocks_never_overlap(controller: Controller) -> None:
    epoch = controller.register(registration())
    blocks = [
        controller.pipeline.proposed(allot_producer_ids(controller.pipeline.image, 0, epoch))
        for _ in range(3)
    ]
    assert blocks == [ProducerIdBlock(n * BLOCK_SIZE, BLOCK_SIZE) for n in range(3)]


def test_producer_ids_run_out_loudly() -> None:
    image = after(cluster([None]), [r.CountersSet(1, 2**63 - 1000, 1)])
    with refused(ErrorCode.POLICY_VIOLATION):
        allot_producer_ids(image, 0, 0)


def test_the_feature_level_rises_when_all_support_it() -> None:
    image = cluster([None, None])
    assert raise_feature_level(image, 1).records == ()
    with refused(ErrorCode.INVALID_UPDATE_VERSION):
        raise_feature_level(image, 0)
    with refused(ErrorCode.UNSUPPORTED_VERSION, "node 0"):
        raise_feature_level(image, 4)
    raised = after(image, raise_feature_level(image, 3).records)
    assert raised.cluster is not None
    assert raised.cluster.feature_level == 3


def test_brokers_with_lost_directories_are_fenced_at_once(controller: Controller) -> None:
    for node in range(3):
        controller.beat(node, controller.register(registration(node)))
    image = controller.pipeline.image
    lost = [image.brokers[0].replica, image.brokers[1].replica._replace(directory=uuid(7))]
    assert controller.pipeline.proposed(fence_lost(image, lost)) == (0,)
    assert [controller.fenced(node) for node in range(3)] == [True, False, False]
    assert fence_lost(controller.pipeline.image, lost).records == ()
