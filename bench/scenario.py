"""The cluster of a Molecule scenario, for benchmarks that break what the scenario's tests break."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .report import ROOT, fail

INVENTORY = "molecule/inventory"


def stand_up(name: str) -> None:
    """Install the collection from its tarball, make the cluster that scenarios share, and converge one on it."""
    _run("make", "installed")
    _molecule("create", "default")
    _molecule("converge", name)


def remove() -> None:
    """Remove the cluster."""
    _molecule("destroy", "default")


def play(playbook: str, variables: Mapping[str, Any], environment: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Run a playbook as Molecule does; tell whether it ended well."""
    command = [".venv/bin/ansible-playbook", "-i", INVENTORY, "-e", json.dumps(dict(variables)), playbook]
    all_of_it = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/installed"),
        "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
        **environment,
    }
    return subprocess.run(command, cwd=ROOT, env=all_of_it, check=False).returncode == 0


def verify(tests: str, only: str) -> bool:
    """Run those of a folder's tests that a ``-k`` of pytest picks against the cluster; tell whether all passed."""
    return play("molecule/verify.yml", {"tests": tests}, {"PYTEST_ADDOPTS": f"-k '{only}'"})


def _molecule(verb: str, name: str) -> None:
    _run(".venv/bin/molecule", verb, "--scenario-name", name)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(command)} ended with {done.returncode}; see above")
