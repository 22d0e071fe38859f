"""Tests of partitions.wire."""
