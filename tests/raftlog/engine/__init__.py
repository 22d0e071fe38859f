"""Tests of raftlog.engine."""
