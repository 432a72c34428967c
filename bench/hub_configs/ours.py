"""The hub as the role configures it, with the values that the benchmark wrote."""

import os
from pathlib import Path

import common
from coursehub_hub import settings

c = globals()["get_config"]()
settings.apply(c, settings.read(Path(os.environ["BENCH_VALUES"]), Path(os.environ["BENCH_SECRETS"])))
common.apply(c)
