"""Tests of `quorate debug bundle` without brokers."""
