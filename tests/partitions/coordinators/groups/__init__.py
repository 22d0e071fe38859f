"""Tests of the consumer group state machine: transcripts by topic, and a simulation."""
