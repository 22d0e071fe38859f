"""Tests of the simulation kit itself."""
