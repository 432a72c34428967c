"""The lab's container engine, and its store of images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .api_server import CACHE

# As lab/builder/engine.py writes them.
ENVIRONMENT = {
    "CONTAINERS_CONF": str(CACHE / "engine/containers.conf"),
    "CONTAINERS_STORAGE_CONF": str(CACHE / "engine/storage.conf"),
}


def podman(*words: str) -> str:
    """Run a command; return what it said. Raises CalledProcessError, with what it complained of on the terminal."""
    command = ["podman", *words]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def build(reference: str, containerfile: Path, context: Path, **arguments: str) -> None:
    """Build an image."""
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    podman("build", "--isolation=chroot", f"--tag={reference}", f"--file={containerfile}", *given, str(context))
