"""Tests of metadata.quorum."""
