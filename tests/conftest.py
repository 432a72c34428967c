"""Lets all tests import the collection by its own name, from this checkout, and what they start end as it would."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (
    "build/collections",
    "lab",
    "lab/csi",
    "lab/drive",
    "images/hub",
    "images/tools",
    "roles/hub/files/server",
):
    sys.path.insert(0, str(ROOT / folder))

# In the background, or by nohup, these are ignored, and so they would be by all that a test starts: a terminal whose
# command nothing ends. Handlers are not inherited, and ours do nothing either.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
