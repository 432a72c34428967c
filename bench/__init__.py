"""Benchmarks: ``make bench B=<name>`` writes ``build/bench/<name>.json`` and a table in ``docs/benchmarks.md``."""
