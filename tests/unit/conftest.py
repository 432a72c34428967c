"""Property tests that do the same on every run, on a slow machine too."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("coursehub", deadline=None, derandomize=True, database=None)
settings.load_profile("coursehub")
