"""Prepare a machine: Debian packages, the virtual environment, and the collection's place in Ansible's path.

Usage: python3 scripts/setup.py {runtime|dev}. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
# Command that shows whether a package is there -> package, for what a person would otherwise install.
LAB = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "mkfs.btrfs": "btrfs-progs",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "newuidmap": "uidmap",
}
DOCKER_LAB = {"debootstrap": "debootstrap", "mkfs.btrfs": "btrfs-progs"}
TESTS = {
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "zstd": "zstd",
    "rclone": "rclone",
    "/usr/lib/postgresql/15/bin/initdb": "postgresql-15",
}


def works(*command: str) -> bool:
    """Tell whether a command is there and ends well."""
    return shutil.which(command[0]) is not None and (
        subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def missing(wanted: dict[str, str]) -> list[str]:
    """Return the packages whose command is not there; /usr/sbin is searched too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [package for command, package in wanted.items() if shutil.which(command, path=path) is None]


def run(*command: str, **environment: str) -> None:
    """Run a command; where it fails, show what it said and end."""
    result = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{result.stdout}{result.stderr}setup: `{' '.join(command[:3])} …` failed, see above")


def packages(kind: str) -> None:
    """Install what the machine lacks, or say what to install."""
    wanted = dict(DOCKER_LAB if works("docker", "info") else LAB)
    if kind == "dev":
        wanted.update(TESTS)
    lacking = missing(wanted)
    if not works(sys.executable, "-c", "import ensurepip, venv"):
        lacking.append("python3-venv")
    if not lacking:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"setup: this machine lacks {', '.join(lacking)} (Debian's names): install them and run make again")
    print(f"setup: installing {', '.join(lacking)}", flush=True)
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *lacking, DEBIAN_FRONTEND="noninteractive")


def environment(kind: str) -> None:
    """Make the virtual environment from hashed requirements; a second run installs nothing."""
    sets = [kind] if shutil.which("go") else [kind, "go"]
    for name in sets:
        requirements = ROOT / f"requirements/{name}.txt"
        stamp = VENV / f".{name}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
        if stamp.exists():
            continue
        if not (VENV / "bin/pip").exists():
            run(sys.executable, "-m", "venv", str(VENV))
        print(f"setup: installing requirements/{name}.txt", flush=True)
        run(str(VENV / "bin/pip"), "install", "--quiet", "--require-hashes", "--requirement", str(requirements))
        stamp.touch()


def place() -> None:
    """Let Ansible find this checkout as the collection coursehub.jupyterhub."""
    link = ROOT / "build/collections/ansible_collections/coursehub/jupyterhub"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent))


def main() -> None:
    """Prepare the machine for running (runtime) or for testing too (dev)."""
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever Python there is
        sys.exit("setup: Python 3.11 or later is needed")
    kind = sys.argv[1]
    packages(kind)
    environment(kind)
    place()
    # The node image mounts it; a machine without loadable modules has none.
    if os.geteuid() == 0:
        Path("/lib/modules").mkdir(exist_ok=True)


if __name__ == "__main__":
    main()
