"""Benchmarks: ``make bench B=<name>`` writes ``build/bench/<name>.json`` and a table in ``docs/benchmarks.md``."""

from tests import conftest as _conftest  # noqa: F401 - lets the collection be imported by its name
