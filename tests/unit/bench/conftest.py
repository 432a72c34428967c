"""The small API server of the plugins' tests."""

from __future__ import annotations

from tests.unit.plugins.conftest import api, kube, kubeconfig, server  # noqa: F401
