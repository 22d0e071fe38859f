"""Scenarios 13 to 17: members, snapshots, storage, sleep; and what was found since (0)."""

from __future__ import annotations

from tests.partitions.sim.test_mutants import vouch_for_what_a_follower_once_knew
from tests.raftlog.sim.mutants import disks, logs
from tests.raftlog.sim.mutants import members as changed
from tests.scenarios import hosts, members, replication, voting
from tests.scenarios.case import (
    DISKS,
    EDGES,
    ENGINE,
    MEMBERS,
    NODE,
    OTHERS,
    REJOIN,
    REPLICAS,
    SLEEP,
    STORAGE,
    TRANSCRIPTS,
    WAL,
    Case,
    tests,
)

CASES: tuple[Case, ...] = (
    Case(
        13,
        "the single-server-change bug: a change before the leader's no-op is committed "
        "(copycat#23)",
        changed.changes_before_its_no_op_is_committed,
        (
            *tests(
                MEMBERS,
                "Test13SingleServerBug::test_no_change_before_the_no_op_is_committed",
                "Test13SingleServerBug::test_no_second_change_while_one_is_open",
            ),
            *tests(TRANSCRIPTS, "19_change_guards"),
        ),
    ),
    Case(
        13,
        "voters are exchanged at once, and two majorities do not meet",
        changed.changes_voters_at_once,
        (
            *tests(
                MEMBERS,
                "Test13SingleServerBug::"
                "test_old_and_new_majorities_that_do_not_meet_cannot_both_decide",
            ),
            *tests(TRANSCRIPTS, "18_change"),
        ),
    ),
    Case(
        13,
        "no roll-back when the entry is truncated (camunda#57393, canonical/raft#250)",
        changed.keeps_configurations_that_were_cut,
        (
            *tests(
                MEMBERS,
                "Test13RollBack::test_a_deposed_leader_goes_back_to_the_configuration_before",
            ),
            *tests(TRANSCRIPTS, "15_config_rollback"),
        ),
    ),
    Case(
        13,
        "nor on disk, where a restart finds it",
        hosts.keeps_configurations_that_were_cut_on_disk,
        tests(WAL + "test_segment_log.py", "test_configurations_follow_the_log"),
    ),
    Case(
        13,
        "a stale configuration after a snapshot (scylladb#9551)",
        members.keeps_its_configuration_across_a_snapshot,
        tests(MEMBERS, "Test13Snapshots::test_stale_configuration_does_not_survive_a_snapshot"),
    ),
    Case(
        13,
        "a snapshot that holds a configuration from after its end",
        members.puts_the_newest_configuration_into_snapshots,
        tests(
            MEMBERS,
            "Test13Snapshots::test_a_snapshot_holds_the_configuration_of_its_own_position",
        ),
    ),
    Case(
        13,
        "the joint state is left too early after a recovery (camunda#60086)",
        changed.leaves_the_joint_configuration_too_early,
        (
            *tests(
                MEMBERS,
                "Test13JointState::test_a_restarted_leader_is_joint_until_its_no_op_is_committed",
            ),
            *tests(TRANSCRIPTS, "20_change_taken_over"),
        ),
    ),
    Case(
        13,
        "a learner that must vote does not (etcd#10998)",
        voting.learners_do_not_vote,
        tests(EDGES, "TestConfigurationBehind::test_a_learner_votes_when_asked"),
    ),
    Case(
        13,
        "so does a voter that has not heard of who asks",
        voting.votes_for_known_voters_only,
        tests(
            OTHERS,
            "Test6Votes::test_whose_configuration_is_behind_still_votes_for_a_new_voter",
        ),
    ),
    Case(
        13,
        "a removed voter rejoins by itself (kafka#20859)",
        members.takes_in_whoever_asks,
        tests(MEMBERS, "Test13RemovedVoters::test_it_does_not_come_back_by_itself"),
    ),
    Case(
        13,
        "a removed voter disturbs those who stayed",
        voting.lets_anybody_disturb,
        tests(OTHERS, "Test6Votes::test_who_was_removed_disturbs_nobody"),
    ),
    Case(
        13,
        "a removed voter is counted",
        members.counts_acks_of_who_was_removed,
        tests(MEMBERS, "Test13RemovedVoters::test_its_acknowledgements_count_for_nothing"),
    ),
    Case(
        13,
        "the quorum of the old configuration is not checked: commits (kafka#18987)",
        changed.commits_by_the_new_voters_alone,
        tests(MEMBERS, "Test13JointState::test_old_voters_commit_too"),
    ),
    Case(
        13,
        "nor for votes",
        changed.elected_by_the_new_voters_alone,
        tests(TRANSCRIPTS, "14_joint"),
    ),
    Case(
        13,
        "nor for reads",
        voting.confirms_reads_by_the_new_voters_alone,
        tests(MEMBERS, "Test13JointState::test_old_voters_confirm_reads_too"),
    ),
    Case(
        13,
        "nor for whether the leader is still heard",
        members.checks_the_quorum_of_the_new_voters_alone,
        tests(MEMBERS, "Test13JointState::test_a_leader_that_hears_only_new_voters_steps_down"),
    ),
    Case(
        13,
        "a new voter that has learnt nothing blocks the commit",
        members.promotes_whoever_it_is_told_to,
        tests(TRANSCRIPTS, "19_change_guards"),
    ),
    Case(
        14,
        "a purged previous entry is taken for a conflict (openraft#511)",
        replication.takes_a_purged_entry_for_a_conflict,
        tests(OTHERS, "Test14Snapshots::test_previous_entry_below_the_snapshot_is_no_conflict"),
    ),
    Case(
        14,
        "a conflicting entry is kept, and the snapshot is sent for ever (hashicorp/raft#704)",
        replication.keeps_entries_that_conflict_with_a_snapshot,
        tests(OTHERS, "Test14Snapshots::test_conflicting_log_is_replaced_by_the_snapshot"),
    ),
    Case(
        14,
        "acknowledged entries behind the snapshot go with those below it",
        replication.drops_what_follows_a_snapshot,
        tests(OTHERS, "Test14Snapshots::test_matching_log_keeps_what_follows_the_snapshot"),
    ),
    Case(
        14,
        "an append goes to a log that a snapshot is about to replace",
        logs.takes_appends_while_a_snapshot_is_installed,
        (
            *tests(
                OTHERS,
                "Test14Snapshots::"
                "test_appends_and_late_completions_do_not_touch_a_log_being_replaced",
            ),
            *tests(EDGES, "TestSnapshotRaces::test_nothing_touches_a_log_that_is_being_replaced"),
        ),
    ),
    Case(
        14,
        "a write of the log that was replaced completes, and vouches for the new one",
        replication.believes_completions_across_a_snapshot,
        tests(
            OTHERS,
            "Test14Snapshots::test_appends_and_late_completions_do_not_touch_a_log_being_replaced",
        ),
    ),
    Case(
        15,
        "bit flips on a minority (nats-server#7549)",
        hosts.cuts_at_any_damage,
        (
            *tests(
                DISKS,
                "Test15MinorityLosesItsStorage::"
                "test_a_bit_flipped_in_the_log_of_one_is_refused_and_the_others_serve",
            ),
            *tests(WAL + "test_wal_corruption.py", "test_every_durable_byte_is_guarded"),
        ),
    ),
    Case(
        15,
        "one power loss (nats-server#7567)",
        disks.believes_a_disk_that_does_not_sync,
        tests(
            DISKS,
            "Test15MinorityLosesItsStorage::test_one_power_loss_of_a_minority_loses_nothing",
        )
        + tests(ENGINE, "test_acknowledged_writes_survive_power_loss_of_all_nodes"),
    ),
    Case(
        15,
        "a disk that lost its log rejoins as if it were new",
        hosts.starts_as_new_without_its_log,
        tests(
            DISKS,
            "Test15MinorityLosesItsStorage::"
            "test_a_log_that_is_gone_does_not_start_as_if_it_were_new",
        ),
    ),
    Case(
        15,
        "a wiped disk rejoins with the node's old id: its directory id differs (dragonboat#256)",
        members.knows_replicas_by_their_node,
        tests(
            MEMBERS,
            "Test15WipedDisk::test_its_vote_does_not_count",
            "Test15WipedDisk::test_its_acknowledgements_do_not_count",
        ),
    ),
    Case(
        15,
        "and wants to lead",
        members.knows_itself_by_its_node,
        tests(MEMBERS, "Test15WipedDisk::test_it_does_not_campaign"),
    ),
    Case(
        16,
        "a single voter acknowledges before its log is durable: the core (etcd#14370)",
        replication.counts_itself_when_it_proposes,
        tests(OTHERS, "Test16SingleVoter::test_nothing_is_committed_before_it_is_durable"),
    ),
    Case(
        16,
        "and the host around it",
        hosts.reports_rounds_before_they_are_durable,
        tests(DISKS, "Test16SingleVoter::test_what_it_acknowledged_survives_a_power_loss_at_once"),
    ),
    Case(
        17,
        "a quiesced leader, and a follower that is awake (cockroach#9372, tikv#18886)",
        vouch_for_what_a_follower_once_knew,
        (
            *tests(
                DISKS, "Test17Quiesced::test_a_follower_that_slept_through_a_restart_is_spoken_to"
            ),
            *tests(REJOIN, "test_a_restarted_follower_of_idle_groups_hears_their_leader_again"),
        ),
    ),
    Case(
        17,
        "a leader goes to sleep although a follower lacks entries (cockroach#104057)",
        replication.sleeps_over_what_is_missing,
        (
            *tests(DISKS, "Test17Quiesced::test_a_follower_that_missed_a_write_is_not_slept_over"),
            *tests(SLEEP, "test_lost_write_to_a_covered_follower_is_found"),
        ),
    ),
    Case(
        17,
        "or does not know what is committed",
        replication.sleeps_before_the_commit_is_known,
        tests(SLEEP, "test_not_coverable_before_the_commit_is_known"),
    ),
    Case(
        17,
        "a leader dies asleep, and nobody notices",
        hosts.vouches_for_ever,
        tests(DISKS, "Test17Quiesced::test_followers_of_a_leader_that_died_asleep_elect_another"),
    ),
    Case(
        17,
        "a transfer under load: the target never has everything (redpanda#2606)",
        replication.takes_writes_while_it_hands_over,
        (
            *tests(OTHERS, "Test17TransferUnderLoad::test_writes_wait_until_the_target_leads"),
            *tests(TRANSCRIPTS, "09_transfer"),
        ),
    ),
    Case(
        17,
        "a transfer that comes to nothing stops writes for ever",
        replication.hands_over_for_ever,
        (
            *tests(
                OTHERS,
                "Test17TransferUnderLoad::"
                "test_a_target_that_does_not_answer_stops_writes_for_an_election_timeout_only",
            ),
            *tests(
                NODE,
                "TestElections::test_a_transfer_ends_with_the_leadership_or_with_its_time",
            ),
        ),
    ),
    Case(
        0,
        "an offset map kept apart from the log diverges from it (redpanda#28812)",
        hosts.takes_entries_at_any_offset,
        tests(
            NODE,
            "TestMalformedAppends::test_other_offsets_than_ours_take_this_replica_offline",
        ),
    ),
    Case(
        0,
        "and the log's files say other offsets than its entries",
        hosts.believes_entries_about_their_offsets,
        tests(STORAGE + "test_log.py", "test_an_entry_that_does_not_continue_the_log_is_refused"),
    ),
    Case(
        0,
        "sequences remembered by offsets that were truncated break idempotence (redpanda#5356)",
        hosts.keeps_producers_of_what_was_cut,
        tests(
            STORAGE + "test_recovery.py",
            "test_a_proposal_is_confirmed_by_its_entry",
            "test_a_proposal_that_was_never_written_goes_with_the_truncation",
        ),
    ),
    Case(
        0,
        "so do proposals of a deposed leader",
        hosts.keeps_proposals_that_were_never_written,
        tests(
            STORAGE + "test_producers.py", "test_what_was_proposed_and_never_written_is_forgotten"
        ),
    ),
    Case(
        0,
        "the raw term is shown as leader epoch before it is confirmed (redpanda#5090)",
        hosts.shows_a_term_before_it_is_confirmed,
        tests(REPLICAS + "test_epochs.py", "test_a_term_is_no_leader_epoch_before_it_is_confirmed"),
    ),
    Case(
        0,
        "an epoch that wrote nothing aborts a client's read (redpanda#5090)",
        hosts.knows_epochs_by_their_number_alone,
        tests(STORAGE + "test_log.py", "test_epochs"),
    ),
)
