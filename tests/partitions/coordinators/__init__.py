"""Tests of partitions.coordinators."""
