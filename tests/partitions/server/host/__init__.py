"""Tests of partitions.server.host."""
