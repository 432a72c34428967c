"""The hub's configuration: reads the values and secrets that are mounted, and hands them to the package."""

import os
from pathlib import Path

from coursehub_hub import settings

settings.apply(
    # JupyterHub puts get_config among the names of the file that it runs.
    globals()["get_config"](),
    settings.read(
        Path(os.environ["COURSEHUB_VALUES"]),
        Path(os.environ["COURSEHUB_SECRETS"]),
        os.environ.get("COURSEHUB_DATABASE_URL", ""),
    ),
)
