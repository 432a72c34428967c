"""Nodes, and what is on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from tests.e2e.cluster import Cluster, Object, says_ready
from tests.e2e.faults.waits import BACK_OFF_S, seconds_until
from tests.e2e.outages import on_control_plane, stopped

# It can't be stopped: nobody would start anything.
CONTROL_PLANE = f"{os.environ.get('COURSEHUB_NAME', '')}-control-plane"
# In a cloud this is not on students' nodes.
STORAGE_CONTROLLER = "app.kubernetes.io/name=storage-controller"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def addresses(cluster: Cluster) -> list[str]:
    """Return the nodes' addresses."""
    return [
        one["address"]
        for node in cluster.kube.list("v1", "Node")
        for one in node["status"]["addresses"]
        if one["type"] == "InternalIP"
    ]


def node_of(cluster: Cluster, namespace: str, name: str) -> str:
    pod = cluster.kube.get("v1", "Pod", name, namespace)
    assert pod is not None
    return str(pod["spec"]["nodeName"])


def students_on(cluster: Cluster, node: str, namespace: str) -> set[str]:
    """Return those whose servers are on a node: they stop with it."""
    pods = cluster.pods(namespace, "app.kubernetes.io/component=singleuser-server")
    return {pod["metadata"]["name"].removeprefix("jupyter-") for pod in pods if pod["spec"].get("nodeName") == node}


def well_again(cluster: Cluster, namespace: str) -> Callable[[], bool]:
    """Return whether all nodes are ready and in service, and every pod of a namespace is ready.

    Those of Jobs that have ended count for nothing: one of the schedule that begins while the API server is away fails,
    and stays to be looked at while the next one does the work.
    """

    def condition() -> bool:
        nodes = cluster.kube.list("v1", "Node")
        return all(says_ready(one) and not out_of_service(one) for one in nodes) and all(
            says_ready(pod)
            for pod in cluster.kube.list("v1", "Pod", namespace)
            if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ("Succeeded", "Failed")
        )

    return condition


def out_of_service(node: Object) -> bool:
    return any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints", []))


def move_away_from(cluster: Cluster, node: str, namespace: str, *selectors: str) -> None:
    """Let pods run on other nodes than this one, as if chance had put them there."""
    _move(cluster, [node], namespace, selectors)


def bring_to(cluster: Cluster, node: str, namespace: str, *selectors: str) -> None:
    """Let pods run on this node."""
    names = [str(one["metadata"]["name"]) for one in cluster.kube.list("v1", "Node")]
    _move(cluster, [name for name in names if name != node], namespace, selectors)


def bring_one_to(cluster: Cluster, node: str, namespace: str, pod: Object) -> None:
    """Have one pod of a Deployment run on this node in the place of where it is."""
    labels = pod["metadata"]["labels"]
    selector = f"app.kubernetes.io/name={labels['app.kubernetes.io/name']}"
    others = [str(one["metadata"]["name"]) for one in cluster.kube.list("v1", "Node")]
    count = len(cluster.pods(namespace, selector))
    with closed(cluster, [name for name in others if name != node]):
        cluster.delete("v1", "Pod", pod["metadata"]["name"], namespace)

        def moved() -> bool:
            pods = cluster.pods(namespace, selector)
            well = all(says_ready(one) for one in pods) and len(pods) == count
            return well and any(one["spec"].get("nodeName") == node for one in pods)

        seconds_until(moved, 120)


@contextmanager
def closed(cluster: Cluster, nodes: Collection[str]) -> Iterator[None]:
    """Let no pod that is made meanwhile come to these nodes."""
    paths = [cluster.kube.path("v1", "Node", None, node) for node in nodes]
    for path in paths:
        cluster.kube.merge(path, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        for path in paths:
            cluster.kube.merge(path, {"spec": {"unschedulable": False}})


@contextmanager
def lost(cluster: Cluster, node: str) -> Iterator[None]:
    """Stop a node without a word, and have somebody say that it is off who knows. At the end it is in service again."""

    def found() -> Object:
        item = cluster.kube.get("v1", "Node", node)
        assert item is not None, f"there is no node {node}"
        return item

    def ready() -> bool:
        return says_ready(found())

    try:
        with stopped(node):
            # Kubernetes notices after most of a minute, and believes no taint before.
            seconds_until(lambda: not ready(), 120)
            _taint(node, f"{OUT_OF_SERVICE}=off:NoExecute")
            yield
    finally:
        seconds_until(ready, 120)
        # It has none where something failed before: taking it away would fail too, and that would be told in its place.
        if out_of_service(found()):
            _taint(node, f"{OUT_OF_SERVICE}-")


def _taint(node: str, what: str) -> None:
    on_control_plane("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "taint", "nodes", node, what)


def _move(cluster: Cluster, nodes: Collection[str], namespace: str, selectors: Sequence[str]) -> None:
    with closed(cluster, nodes):
        for selector in selectors:
            for pod in cluster.pods(namespace, selector):
                if pod["spec"].get("nodeName") in nodes:
                    cluster.delete("v1", "Pod", pod["metadata"]["name"], namespace)
        seconds_until(
            lambda: all(
                says_ready(pod) and pod["spec"].get("nodeName") not in nodes
                for selector in selectors
                for pod in cluster.pods(namespace, selector)
            ),
            BACK_OFF_S,
        )
