"""Tests of partitions.records."""
