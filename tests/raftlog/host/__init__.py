"""Tests of raftlog.host."""
