"""Tests of client sessions, driven with bytes and without sockets."""
