"""Secrets are encrypted where Kubernetes keeps them."""

from __future__ import annotations

import os
import secrets

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.outages import engine


def test_a_secret_is_not_written_as_it_is(cluster: Cluster) -> None:
    # What a ConfigMap has is: else it would prove nothing that a Secret's text is not found.
    assert kept_files(cluster, "ConfigMap", "data")
    assert kept_files(cluster, "Secret", "stringData") == ""


def kept_files(cluster: Cluster, kind: str, field: str) -> str:
    """Return the files of etcd in which a text stands that an object of a kind was given."""
    text, name = secrets.token_hex(20), "where-is-it"
    metadata = {"name": name, "namespace": STUDENTS}
    cluster.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, field: {"text": text}})
    try:
        node = f"{os.environ['COURSEHUB_NAME']}-control-plane"
        return engine("exec", node, "sh", "-c", f"grep -rlaF {text} /var/lib/etcd || true")
    finally:
        cluster.delete("v1", kind, name, STUDENTS)
