"""A Kubernetes API without nodes, on loopback: etcd and kube-apiserver as the lab builds them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from .report import ROOT, fail

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coursehub"
READY_S = 60
CONTEXT = "bench"


@dataclass(frozen=True)
class ApiServer:
    """Where it is, and the kubeconfig that leads to it."""

    url: str
    kubeconfig: Path


def artefacts(*steps: str) -> list[Path]:
    """Return the folders of what the lab has built, building what is not at hand."""
    return [Path(one["folder"]) for one in _built(*steps)]


def images(*steps: str) -> list[str]:
    """Return the references of images that the lab has built, building what is not at hand."""
    return [one["image"] for one in _built(*steps)]


def _built(*steps: str) -> list[dict[str, str]]:
    result = CACHE / "bench-artefacts.json"
    subprocess.run(
        [str(ROOT / ".venv/bin/python"), "-m", "builder", *steps, "--cache", str(CACHE), "--result", str(result)],
        cwd=ROOT / "lab",
        check=True,
    )
    told = json.loads(result.read_text(encoding="utf-8"))["artefacts"]
    return [told[step] for step in steps]


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Run one in a folder of its own; it ends with the block. Ends the benchmark where it does not come up."""
    kubernetes, etcd = artefacts("go-kubernetes", "go-etcd")
    client, peer, port = free_port(), free_port(), free_port()
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},bench,bench,system:masters\n", encoding="utf-8")
    subprocess.run(["openssl", "genrsa", "-out", "accounts.key", "2048"], cwd=folder, check=True, capture_output=True)
    store = [
        str(etcd / "etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        # Nothing of it is kept.
        "--unsafe-no-fsync",
    ]
    server = [
        str(kubernetes / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://bench.invalid",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=AlwaysAllow",
        # There is no controller that would make the account that this one waits for.
        "--disable-admission-plugins=ServiceAccount",
    ]
    url = f"https://127.0.0.1:{port}"
    kubeconfig, authority = folder / "kubeconfig", folder / "certificates/apiserver.crt"
    kubeconfig.write_text(json.dumps(_config(url, token, authority)), encoding="utf-8")
    with (folder / "api.log").open("wb") as log:
        processes = [subprocess.Popen(one, stdout=log, stderr=log, cwd=folder) for one in (store, server)]
        try:
            _await(kubeconfig, authority, folder / "api.log")
            yield ApiServer(url, kubeconfig)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _config(url: str, token: str, authority: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority": str(authority)}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }


def _await(kubeconfig: Path, authority: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not authority.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        Kube(str(kubeconfig), CONTEXT).wait_ready(deadline)
    except CoursehubError as error:
        fail(f"the API server did not come up: {error}\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
