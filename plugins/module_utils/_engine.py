# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Container engines and published images: which of them this machine can use."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
from collections.abc import Callable, Mapping, Sequence

from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# One address of each registry that published images come from, as the registries' interface has it.
REGISTRIES = ("https://registry.k8s.io/v2/", "https://registry-1.docker.io/v2/")
ATTEMPT_TIMEOUT_S = 5


def environment(engine: str, cache_dir: str) -> dict[str, str]:
    """Return the variables under which the engine and kind are run; podman has a store of its own there."""
    if engine != "podman":
        return {}
    folder = os.path.join(cache_dir, "engine")
    return {
        "CONTAINERS_CONF": os.path.join(folder, "containers.conf"),
        "CONTAINERS_STORAGE_CONF": os.path.join(folder, "storage.conf"),
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
    }


def _works(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def choose_engine(wanted: str, works: Callable[[Sequence[str]], bool] = _works) -> str:
    """Return ``docker`` or ``podman``: what is asked for, else docker where its daemon answers, else podman.

    Raises CoursehubError where neither can be used.
    """
    tests = {"docker": ("docker", "info"), "podman": ("podman", "--version")}
    for engine, command in tests.items():
        if wanted in ("auto", engine) and works(command):
            return engine
    if wanted == "auto":
        raise CoursehubError("there is no container engine: install podman, or install docker and start its daemon")
    raise CoursehubError(
        f"coursehub_container_engine is '{wanted}', but `{' '.join(tests[wanted])}` does not work:"
        f" install {wanted}, or set it to auto"
    )


def _answers(address: str) -> bool:
    try:
        open_url(address, timeout=ATTEMPT_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        # A registry that wants a login says so by 401; anything else comes from something in between.
        return error.code == 401
    except (OSError, ValueError, NoConnection):
        return False
    return True


def choose_source(wanted: str, answers: Callable[[str], bool] = _answers) -> str:
    """Return ``registry`` or ``lab``; ``auto`` is decided by one attempt at each registry."""
    if wanted != "auto":
        return wanted
    return "registry" if all(answers(address) for address in REGISTRIES) else "lab"


def cluster_containers(engine: str, name: str, variables: Mapping[str, str]) -> list[str]:
    """Return the ids of the containers of a kind cluster, whole or half made; all clusters' where ``name`` is empty.

    Raises CoursehubError where the engine refuses.
    """
    if engine == "podman" and not os.path.exists(variables.get("CONTAINERS_STORAGE_CONF", "")):
        return []
    label = f"label=io.x-k8s.kind.cluster{f'={name}' if name else ''}"
    command = [engine, "ps", "--all", "--quiet", "--filter", label]
    result = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CoursehubError(f"`{engine} ps` failed: {result.stderr.strip()[-500:]}")
    return result.stdout.split()
