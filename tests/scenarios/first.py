"""Scenarios 1 to 12: commits, logs, votes, disks, reads."""

from __future__ import annotations

from tests.raftlog.sim.mutants import disks, elections, logs
from tests.raftlog.sim.mutants import hosts as told
from tests.scenarios import hosts, replication, voting
from tests.scenarios.case import (
    DISKS,
    EDGES,
    LEASES,
    LOG,
    OTHERS,
    PYSYNCOBJ,
    TRANSCRIPTS,
    WAL,
    Case,
    tests,
)

CASES: tuple[Case, ...] = (
    Case(
        1,
        "an append moves the follower's commit over a tail that it did not verify "
        "(copycat#265, scylladb#9965)",
        replication.believes_any_commit,
        tests(
            LOG,
            "Test1CommitOverUnverifiedTail::test_empty_append_commits_only_what_it_matched",
            "Test1CommitOverUnverifiedTail::test_append_commits_only_up_to_its_last_entry",
        ),
    ),
    Case(
        1,
        "so does a heartbeat",
        logs.commits_an_unverified_tail,
        tests(
            LOG,
            "Test1CommitOverUnverifiedTail::test_leader_never_tells_a_commit_beyond_the_match",
        ),
    ),
    Case(
        1,
        "so does the first chunk of a snapshot (PySyncObj, S1)",
        replication.commits_when_a_snapshot_begins,
        tests(PYSYNCOBJ, "test_isolated_leader_does_not_commit_while_a_snapshot_arrives"),
    ),
    Case(
        2,
        "a delayed append cuts a suffix that matches (redpanda#17731, hashicorp/raft#113; "
        "PySyncObj, S2)",
        logs.cuts_matching_suffixes,
        (
            *tests(LOG, "Test2DelayedAppend::test_matching_suffix_stays"),
            *tests(TRANSCRIPTS, "05_delayed_append"),
            *tests(PYSYNCOBJ, "test_acknowledged_suffix_survives_repeated_resends"),
        ),
    ),
    Case(
        2,
        "an append cuts what is committed",
        replication.cuts_what_is_committed,
        tests(LOG, "Test2DelayedAppend::test_committed_entries_cannot_be_cut_by_anyone"),
    ),
    Case(
        3,
        "an ack of an earlier term counts in a later one (openraft, replication session; "
        "PySyncObj, S3)",
        logs.believes_old_acks,
        (
            *tests(LOG, "Test3StaleAcks::test_ack_of_an_older_term_moves_nothing"),
            *tests(TRANSCRIPTS, "06_stale_ack"),
            *tests(PYSYNCOBJ, "test_acks_of_an_earlier_leadership_do_not_count"),
        ),
    ),
    Case(
        3,
        "a late rejection sends the leader back below what was acknowledged since",
        replication.believes_old_rejections,
        (
            *tests(LOG, "Test3StaleAcks::test_old_rejection_does_not_go_back_below_the_match"),
            *tests(EDGES, "TestRejections::test_old_rejection_keeps_the_pipeline"),
        ),
    ),
    Case(
        3,
        "an ack of what the leader does not have is taken for one of what it has",
        replication.believes_any_ack,
        tests(LOG, "Test3StaleAcks::test_ack_beyond_the_log_is_the_peers_fault"),
    ),
    Case(
        4,
        "entries of an old term are committed by counting (Raft paper, figure 8; logcabin#44, "
        "nats-server#7955)",
        logs.commits_old_terms_by_counting,
        (
            *tests(LOG, "Test4OldTermsByCounting::test_majority_of_an_old_entry_commits_nothing"),
            *tests(TRANSCRIPTS, "07_figure_8"),
        ),
    ),
    Case(
        5,
        "a slip in the arithmetic: half of an even number is taken for a quorum (openraft#1802)",
        logs.counts_a_minority,
        tests(LOG, "Test5QuorumArithmetic::test_two_of_four_are_not_enough"),
    ),
    Case(
        5,
        "learners are counted",
        replication.counts_learners,
        tests(LOG, "Test5QuorumArithmetic::test_learner_acks_do_not_count"),
    ),
    Case(
        6,
        "two votes in one term",
        elections.votes_twice,
        tests(OTHERS, "Test6Votes::test_one_vote_per_term"),
    ),
    Case(
        6,
        "the vote is forgotten in a restart",
        elections.forgets_its_vote,
        tests(OTHERS, "Test6Votes::test_vote_survives_restart_and_repetition"),
    ),
    Case(
        6,
        "the vote is cleared on stepping down (camunda#5356)",
        voting.forgets_its_vote_when_it_steps_down,
        tests(OTHERS, "Test6Votes::test_vote_is_not_forgotten_on_stepping_down"),
    ),
    Case(
        6,
        "a vote is counted twice, or one of a stranger once (hazelcast#16643; PySyncObj, S4)",
        voting.counts_answers_not_voters,
        tests(
            OTHERS,
            "Test6Votes::test_one_voter_counts_once",
            "Test6Votes::test_votes_of_strangers_do_not_count",
        ),
    ),
    Case(
        7,
        "a deposed leader appends with the new term, or claims success for what is truncated "
        "later (camunda#5360, redpanda#3003)",
        replication.leads_on_in_later_terms,
        tests(
            LOG,
            "Test7DeposedLeader::test_it_neither_appends_nor_commits",
            "Test7DeposedLeader::test_it_takes_nothing_more",
            "Test7DeposedLeader::test_late_acks_do_not_commit_after_step_down",
            "Test7DeposedLeader::test_late_own_write_does_not_commit_after_step_down",
        ),
    ),
    Case(
        8,
        "a leader resumes its epoch after a restart, and uses (index, term) again (kafka#9348)",
        replication.resumes_its_leadership,
        tests(LOG, "Test8LeaderLosesItsWrite::test_restarted_leader_follows_and_reuses_nothing"),
    ),
    Case(
        8,
        "a term is used before it is durable, and so a second time",
        elections.speaks_before_its_vote_is_durable,
        tests(LOG, "Test8LeaderLosesItsWrite::test_new_term_is_durable_before_it_is_used"),
    ),
    Case(
        8,
        "the leader's write fails after it was replicated, and it leads on (canonical/raft#320)",
        hosts.takes_a_failed_sync_for_done,
        tests(
            DISKS,
            "Test8LeaderLosesItsWrite::test_a_leader_whose_sync_fails_after_it_replicated_is_gone",
        ),
    ),
    Case(
        9,
        "fsync fails, and the second one succeeds (cockroach#37102, raft-engine#131)",
        disks.tries_a_failed_sync_again,
        (
            *tests(DISKS, "Test9FailedSync::test_nothing_is_acknowledged_after_it"),
            *tests(WAL + "test_wal_failures.py", "test_a_failed_sync_is_final"),
        ),
    ),
    Case(
        9,
        "so it does for a log's own files",
        hosts.syncs_again_after_a_failure,
        tests(WAL + "test_segment_log.py", "test_a_failed_sync_is_not_tried_again"),
    ),
    Case(
        9,
        "the next process believes what the page cache still shows",
        hosts.believes_the_page_cache,
        tests(
            WAL + "test_wal_failures.py",
            "test_after_a_failed_sync_the_page_cache_is_not_believed",
        ),
    ),
    Case(
        10,
        "a flush completes that covered entries which were cut and appended again: ABA "
        "(redpanda#3114, etcd's asynchronous storage writes)",
        logs.believes_completions_of_what_was_cut,
        tests(
            LOG,
            "Test10CompletionRacesTruncation::"
            "test_completion_of_replaced_entries_acks_nothing_of_the_new",
            "Test10CompletionRacesTruncation::test_same_index_same_term_again",
        ),
    ),
    Case(
        10,
        "a checkpoint of the files becomes durable after what it covered was cut and appended "
        "again (redpanda#16105)",
        hosts.lets_checkpoints_vouch_for_what_was_cut,
        tests(
            WAL + "test_wal_recovery.py", "test_a_checkpoint_on_its_way_to_the_disk_is_cut_down_too"
        ),
    ),
    Case(
        11,
        "a long log with a low term against a short one with a high term: nobody ever wins the "
        "pre-vote (etcd#8243, #8501, openraft#1796)",
        voting.learns_no_terms_from_refusals,
        (
            *tests(OTHERS, "Test11PreVoteDeadlock::test_better_log_with_older_term_wins_by_itself"),
            *tests(TRANSCRIPTS, "17_pre_vote_deadlock"),
        ),
    ),
    Case(
        12,
        "a new leader answers reads before its no-op is committed (etcd#7331)",
        voting.reads_before_its_no_op_is_committed,
        (
            *tests(OTHERS, "Test12Reads::test_none_before_the_noop_is_committed"),
            *tests(EDGES, "TestReads::test_no_round_begins_before_the_noop_is_committed"),
        ),
    ),
    Case(
        12,
        "a context that is asked again is answered by the first one's round (etcd#20418)",
        voting.takes_any_answer_for_one_to_the_newest_round,
        (
            *tests(OTHERS, "Test12Reads::test_answers_to_an_earlier_round_prove_nothing"),
            *tests(EDGES, "TestReads::test_an_answer_confirms_its_own_round_only"),
        ),
    ),
    Case(
        12,
        "reads that wait without a bound",
        voting.lets_any_number_of_reads_wait,
        tests(
            OTHERS,
            "Test12Reads::test_one_round_answers_all_that_wait_and_the_queue_is_bounded",
        ),
    ),
    Case(
        12,
        "a lease outlives a transfer of the leadership (etcd#12704)",
        told.keeps_its_lease_while_it_hands_over,
        tests(LEASES, "TestLease::test_a_leader_that_hands_over_has_no_lease_any_more"),
    ),
    Case(
        12,
        "a lease outlives a pause of the process (tikv#964)",
        voting.reads_by_a_clock_that_stood_still,
        tests(
            LEASES,
            "TestLease::test_a_leader_that_was_paused_wakes_up_without_a_lease",
            "TestLease::test_a_round_answers_the_reads_that_follow_until_it_is_too_old",
        ),
    ),
    Case(
        12,
        "a lease outlives what the followers keep to: time, restarts, later terms",
        told.pledges_nothing,
        tests(LEASES, "TestLease::test_whoever_answered_helps_nobody_for_as_long"),
    ),
    Case(
        12,
        "clocks that differ",
        told.takes_all_clocks_for_equal,
        tests(
            LEASES,
            "TestLease::test_the_lease_is_shorter_than_the_pledge_by_what_clocks_may_differ",
            "TestLease::test_a_lease_has_ended_by_all_clocks_when_the_first_voter_is_free_again",
        ),
    ),
    Case(
        12,
        "a lease outlives its pledges by as long as their answers took",
        told.counts_its_lease_from_the_answer,
        tests(LEASES, "TestLease::test_the_lease_begins_with_the_round_and_not_with_its_answer"),
    ),
    Case(
        12,
        "a lease outlives the quorum that gave it",
        voting.keeps_its_lease_over_a_change,
        tests(LEASES, "TestLease::test_a_change_of_members_ends_the_lease"),
    ),
)
