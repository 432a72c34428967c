"""The hub's configuration: reads the values and secrets that are mounted, and hands them to the package."""

import os
from pathlib import Path

from coursehub_hub import settings
from coursehub_hub.database_watch import watch

settings.apply(
    # JupyterHub puts get_config among the names of the file that it runs.
    globals()["get_config"](),
    settings.read(
        Path(os.environ["COURSEHUB_VALUES"]),
        Path(os.environ["COURSEHUB_SECRETS"]),
        os.environ.get("COURSEHUB_DATABASE_URL", ""),
    ),
)

# With PostgreSQL it has begun with the process, and also watches while the hub stands by.
if not os.environ.get("COURSEHUB_DATABASE_URL"):
    watch.start("")
