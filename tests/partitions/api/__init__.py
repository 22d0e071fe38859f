"""Tests of the API handlers, driven through a Session with encoded requests."""
