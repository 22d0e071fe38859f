"""Tests of partitions.storage, on a virtual disk that loses what was not synced."""
