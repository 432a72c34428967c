"""What the role's README tells people to run."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts

from tests.unit.paths import ROOT

README = (ROOT / "roles/drive_export/README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """Return the blocks of a kind of text, without what they are indented by."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```", README, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _indent, block in found]


def examples() -> dict[str, dict[str, Any]]:
    """Return what the examples give to the module, by the Secret that they make."""
    found = {}
    for block in blocks("yaml"):
        task, *more = yaml.safe_load(block)
        if more or not isinstance(task, dict):
            continue
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


def test_no_secret_is_among_the_words_of_a_command(tmp_path: Path) -> None:
    """Everybody on a machine sees those."""
    (consent,) = (block for block in blocks("console") if "device_code" in block)
    commands = [line.strip() for line in re.sub(r"^\$ ", "\0", consent, flags=re.MULTILINE).split("\0") if line]
    (last,) = (one for one in commands if "SECRET" in one and "curl" in one)
    # What the example does, with a curl that writes down its words and what it reads.
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >words\ncat >read\n', encoding="utf-8")
    curl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRET": "s3cret", "CODE": "c0de"}
    subprocess.run(["/bin/bash", "-c", last], cwd=tmp_path, env=environment, check=True)
    words, read = ((tmp_path / name).read_text(encoding="utf-8") for name in ("words", "read"))
    assert "s3cret" in read
    assert "c0de" in read
    assert "s3cret" not in words
    assert "c0de" not in words
    assert not re.search(r"(client_secret|device_code|refresh_token)=(?!%s)", consent)


def test_a_survey_asks_for_variables_that_there_are() -> None:
    options = yaml.safe_load((ROOT / "roles/drive_export/meta/argument_specs.yml").read_text(encoding="utf-8"))
    known = options["argument_specs"]["main"]["options"]
    (survey,) = (yaml.safe_load(block) for block in blocks("yaml") if "question_name" in block)
    assert survey["spec"]
    for question in survey["spec"]:
        assert question["variable"] in known
        if known[question["variable"]]["type"] == "bool":
            assert question["choices"] == [json.dumps(False), json.dumps(True)]
