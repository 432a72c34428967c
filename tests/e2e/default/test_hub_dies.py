"""The one case of the fault suite that shows that hub and proxy are apart."""

from __future__ import annotations

import time

import requests

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.student import Student

COMPUTE = """
import os, time
while not os.path.exists('/tmp/hub-is-gone'):
    time.sleep(0.05)
os.unlink('/tmp/hub-is-gone')
print(6 * 7)
"""


def _answers(url: str, status: range, seconds: float) -> bool:
    """Ask the hub until it answers with such a status: a deleted container lives on for a moment, and the nodes learn
    of a pod that is ready a moment later than the API does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{url}/hub/health", timeout=5).status_code
        except requests.Timeout:
            # The proxy knocks at the address of a pod that is gone, where nobody refuses.
            answer = 504
        if answer in status:
            return True
    return False


def test_a_kernel_computes_on_while_the_hub_is_gone(cluster: Cluster, alice: Student, url: str) -> None:
    kernel = alice.kernel()
    try:
        assert kernel.printed(kernel.send("print('before')"), 60) == "before\n"
        (hub,) = cluster.pods(HUB, "app.kubernetes.io/name=hub")
        request = kernel.send(COMPUTE)
        cluster.delete("v1", "Pod", hub["metadata"]["name"], HUB)
        # The hub is really gone: the proxy answers, and has nobody to ask. Only now may the kernel end.
        assert _answers(url, range(500, 600), 30)
        cluster.run_python("jupyter-alice", "open('/tmp/hub-is-gone', 'w')")
        assert kernel.printed(request, 60) == "42\n"
        assert alice.ask("GET", "contents/")["type"] == "directory"
    finally:
        kernel.close()
    cluster.wait(
        "v1",
        "Pod",
        HUB,
        lambda pods: any(pod["metadata"]["uid"] != hub["metadata"]["uid"] and says_ready(pod) for pod in pods),
        120,
    )
    assert _answers(url, range(200, 201), 30)
