"""What the role's README tells people to run."""

from __future__ import annotations

import re
from typing import Any

import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts

from tests.unit.paths import ROOT


def examples() -> dict[str, dict[str, Any]]:
    """Return what the examples give to the module, by the Secret that they make."""
    text = (ROOT / "roles/drive_export/README.md").read_text(encoding="utf-8")
    found = {}
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        (task,) = yaml.safe_load(block)
        assert task["no_log"] is True
        given = task["coursehub.jupyterhub.manifests"]
        (secret,) = given["objects"]
        assert _accounts.KEY in secret["stringData"]
        found[secret["metadata"]["name"]] = given
    return found


def test_a_consent_that_is_stored_removes_no_other_one() -> None:
    found = examples()
    assert set(found) == {"drive-credentials", _accounts.consent_name("alice")}
    consent = found[_accounts.consent_name("alice")]
    assert consent["prune"] is False
    assert _accounts.CONSENT_LABEL in consent["objects"][0]["metadata"]["labels"]
    assert consent["part"] != found["drive-credentials"]["part"]


def test_the_cluster_is_named() -> None:
    assert all(given["kubeconfig"] and given["context"] for given in examples().values())
