"""A hub of the benchmarks' own: stood up by the playbooks in this checkout, removed at the end."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .report import ROOT, fail

NAME = "coursehub-bench"
PORT = 18100
STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "coursehub"
KUBECONFIG = STATE / NAME / "kubeconfig"
CONTEXT = f"kind-{NAME}"


@dataclass(frozen=True)
class Run:
    """One run of a playbook: its wall time in seconds, the phases', and how many tasks changed something."""

    seconds: float
    phases: dict[str, float]
    changed: int


def play(playbook: str, *, folder: str = "playbooks", **variables: str) -> Run:
    """Run a playbook against the benchmark's own cluster. Ends the benchmark where it fails."""
    settings = {"coursehub_name": NAME, "coursehub_cluster_port": PORT, **variables}
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [".venv/bin/ansible-playbook", "-i", "inventories/local", f"{folder}/{playbook}.yml"]
        start = time.monotonic()
        done = subprocess.run(
            [*command, "--extra-vars", json.dumps(settings)],
            cwd=ROOT,
            env={**os.environ, "COURSEHUB_PHASES_FILE": file.name},
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode != 0:
            fail(f"{folder}/{playbook}.yml ended with {done.returncode}; see above")
        told = json.loads(Path(file.name).read_text(encoding="utf-8"))
    return Run(seconds=seconds, phases=told["phases"], changed=told["changed"])


def refuse_beside_others() -> None:
    """End the benchmark where a cluster runs: two on one machine would measure each other."""
    others = sorted(path.parent.name for path in STATE.glob("*/cluster.json"))
    if others:
        fail(f"there is a cluster already ({', '.join(others)}): remove it first, `make down` removes 'coursehub'")
