"""Parts of the cluster that are taken away for a while."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

from tests.e2e.cluster import Cluster

MANIFEST, ASIDE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"


def engine(*words: str) -> str:
    """Run a command of the engine that has the nodes; return what it said."""
    done = subprocess.run(
        [os.environ["COURSEHUB_ENGINE"], *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def on_control_plane(*words: str) -> None:
    """Run a command on the node that has the control plane."""
    engine("exec", f"{os.environ['COURSEHUB_NAME']}-control-plane", *words)


def answers(cluster: Cluster) -> bool:
    try:
        cluster.kube.wait_ready(time.monotonic())
    except CoursehubError:
        return False
    return True


@contextmanager
def without_api_server(cluster: Cluster, seconds: float) -> Iterator[None]:
    """Take the API server away for so many seconds. In the block it has just gone; when it is left, it is back.

    It is killed, and the kubelet does not start it again as long as its manifest is away.
    """
    begun = time.monotonic()
    on_control_plane("mv", MANIFEST, ASIDE)
    try:
        # The kubelet may have been quicker.
        on_control_plane("bash", "-c", "pkill -TERM -x kube-apiserver || true")
        while answers(cluster):
            assert time.monotonic() - begun < seconds, "the API server did not go away"
            time.sleep(0.2)
        yield
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    finally:
        on_control_plane("mv", ASIDE, MANIFEST)
        cluster.kube.wait_ready(time.monotonic() + 120)


@contextmanager
def without_kubelet(node: str) -> Iterator[None]:
    """Stop a node's kubelet; all that runs on the node runs on. At the end the kubelet is back."""
    engine("exec", node, "systemctl", "stop", "kubelet")
    try:
        yield
    finally:
        engine("exec", node, "systemctl", "start", "kubelet")


@contextmanager
def stopped(node: str) -> Iterator[None]:
    """Stop a node without a word, as when its machine loses power; at the end all on it goes on where it was."""
    # Frozen alone it would still take connections: its kernel is this machine's. A queue of one byte lets nothing out.
    engine("exec", node, "tc", "qdisc", "replace", "dev", "eth0", "root", "bfifo", "limit", "1")
    engine("pause", node)
    try:
        yield
    finally:
        engine("unpause", node)
        engine("exec", node, "tc", "qdisc", "del", "dev", "eth0", "root")
