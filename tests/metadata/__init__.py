"""Tests of metadata: `histories` draws random valid records beside a dictionary oracle."""

from __future__ import annotations
