"""Tests of partitions.replicas."""
