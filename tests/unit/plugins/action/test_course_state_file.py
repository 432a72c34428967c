from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.coursehub.jupyterhub.plugins.action import course_state_file, course_state_info

from tests.unit.plugins.action.task import run_action

PASSPHRASE = "correct horse battery"
STATE = {"version": 1, "taken_at": "t", "namespaces": [], "secrets": [], "disks": [], "snapshots": []}


def write(folder: Path, name: str, content: Any, passphrase: str = PASSPHRASE) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / name
    path.write_bytes(VaultLib().encrypt(text, VaultSecret(passphrase.encode()), vault_id="filter_default"))
    return path


def read(folder: Path, file: Path | None = None, passphrase: str = PASSPHRASE) -> dict[str, Any]:
    arguments = {"folder": str(folder), "passphrase": passphrase, **({"file": str(file)} if file else {})}
    return run_action(course_state_file.ActionModule, arguments)


def test_the_newest_is_read_and_its_content_is_never_shown(tmp_path: Path) -> None:
    for number in (2, 3, 1):
        write(tmp_path, f"state-2026112{number}T020000Z.json.vault", {**STATE, "taken_at": str(number)})
    (tmp_path / "state-20261129T020000Z.json.vault.part").touch()
    assert read(tmp_path) == {
        "changed": False,
        "file": f"{tmp_path}/state-20261123T020000Z.json.vault",
        "state": {**STATE, "taken_at": "3"},
        "_ansible_no_log": True,
    }


def test_one_that_is_named_is_read(tmp_path: Path) -> None:
    write(tmp_path, "state-20261124T020000Z.json.vault", STATE)
    file = write(tmp_path, "copied", {**STATE, "taken_at": "then"})
    assert read(tmp_path, file)["state"]["taken_at"] == "then"
    assert read(Path("/nowhere"), file)["state"]["taken_at"] == "then"


def refused(result: dict[str, Any]) -> str:
    assert set(result) == {"failed", "msg"}
    assert PASSPHRASE not in result["msg"]
    assert "\n" not in result["msg"]
    return str(result["msg"])


def test_a_folder_without_any(tmp_path: Path) -> None:
    assert refused(read(tmp_path)).startswith(f"there is no state-*.json.vault in {tmp_path}: copy the newest one")
    assert "there is no state-*.json.vault in /nowhere" in refused(read(Path("/nowhere")))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(read(tmp_path, tmp_path / "none")) == (
        f"the state file {tmp_path}/none can't be read: No such file or directory"
    )


def test_another_passphrase(tmp_path: Path) -> None:
    write(tmp_path, "state-1.json.vault", STATE, "another passphrase")
    assert "can't be opened: either the passphrase is not the one that it was written with, or the file is" in refused(
        read(tmp_path)
    )


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b.replace(b"3", b"4"), lambda _b: b""])
def test_a_file_that_is_damaged(tmp_path: Path, damage: Any) -> None:
    file = write(tmp_path, "state-1.json.vault", STATE)
    file.write_bytes(damage(file.read_bytes()))
    assert "can't be opened" in refused(read(tmp_path))


def test_a_file_that_is_not_encrypted(tmp_path: Path) -> None:
    (tmp_path / "state-1.json.vault").write_text(json.dumps(STATE), encoding="utf-8")
    assert "can't be opened" in refused(read(tmp_path))
    (tmp_path / "state-1.json.vault").write_bytes(os.urandom(100))
    assert "can't be opened" in refused(read(tmp_path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("nonsense", "it is damaged: what is in it is no state of a cluster"),
        ({"version": 2}, "it is of version 2, and this collection reads version 1: use the collection that wrote it"),
    ],
)
def test_what_is_in_it_is_no_state(tmp_path: Path, content: Any, sentence: str) -> None:
    file = write(tmp_path, "state-1.json.vault", content)
    assert refused(read(tmp_path)) == f"the state file {file} can't be used: {sentence}"


@pytest.mark.parametrize(
    ("result", "hidden"), [({"state": {"secrets": []}}, True), ({"failed": True, "msg": "no cluster"}, False)]
)
def test_what_the_module_returns_is_hidden_and_what_went_wrong_is_shown(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], hidden: bool
) -> None:
    monkeypatch.setattr(course_state_info.ActionModule, "_execute_module", lambda _self, task_vars: dict(result))
    assert run_action(course_state_info.ActionModule) == {**result, "_ansible_no_log": hidden}
