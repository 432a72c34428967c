"""Started by the hub as a service of it: ``python -m coursehub_hub.culler``."""

from __future__ import annotations

import contextlib
import json
import os
import time


def main() -> None:
    """Rest, then look, for ever.

    A hub that is back from an outage has not heard yet who was at work meanwhile, and their servers would seem idle
    since it began. Nothing is imported before that either: a hub that starts needs its cores for itself.
    """
    values = json.loads(os.environ["COURSEHUB_CULL"])
    time.sleep(values["settle"])

    import asyncio
    import logging

    from . import looking

    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    asyncio.run(looking.run(values, os.environ["COURSEHUB_HUB_API"], os.environ["JUPYTERHUB_API_TOKEN"]))


if __name__ == "__main__":
    # The hub interrupts it when it ends itself.
    with contextlib.suppress(KeyboardInterrupt):
        main()
