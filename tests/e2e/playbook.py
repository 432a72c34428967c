"""Runs playbooks and modules against the hub under test, from the installed collection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "molecule/inventory"
TIMEOUT_S = 600


def play(playbook: str, seconds: float = TIMEOUT_S, **variables: Any) -> str:
    """Run a playbook, by path or by full name; return what it said. Raises AssertionError where it fails."""
    done = _run("ansible-playbook", "-i", INVENTORY, "-e", json.dumps(variables), playbook, seconds=seconds)
    assert done.returncode == 0, f"{playbook} ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-1000:]}"
    return done.stdout


def module(name: str, *flags: str, **arguments: Any) -> dict[str, Any]:
    """Run a module of the collection on this machine; return its result, with ``failed`` where it failed."""
    full = f"coursehub.jupyterhub.{name}"
    done = _run("ansible", "-i", INVENTORY, "localhost", "-m", full, "-a", json.dumps(arguments), *flags)
    _head, arrow, result = done.stdout.partition("=> ")
    assert arrow, f"{name} ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-1000:]}"
    return dict(json.loads(result))


def start(name: str, file: Path, **arguments: Any) -> subprocess.Popen[str]:
    """Start a module without Ansible around it, a process that can be killed; its arguments are written to the file."""
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", f"ansible_collections.coursehub.jupyterhub.plugins.modules.{name}", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build/installed")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(command: str, *words: str, seconds: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(Path(sys.executable).parent / command), *words],
            cwd=ROOT,
            # Molecule forces colours on all that runs under it; what is read here must have none.
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/installed"),
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as late:
        # Bytes, although text was asked for.
        said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        raise AssertionError(f"{command} did not end in {seconds:.0f} s; it said last: {said[-4000:]}") from late
