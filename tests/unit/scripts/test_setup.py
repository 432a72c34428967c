from __future__ import annotations

from pathlib import Path

import pytest

from scripts import setup


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no commands but those that a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        setup.shutil, "which", lambda name, path=None: str(tmp_path / name) if (tmp_path / name).exists() else None
    )
    return tmp_path


def command(folder: Path, name: str, code: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho said; echo complained >&2\nexit {code}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_packages_whose_command_is_not_there(machine: Path) -> None:
    command(machine, "one")
    assert setup.missing({"one": "package-one", "two": "package-two"}) == ["package-two"]


def test_a_command_works_when_it_is_there_and_ends_well(machine: Path) -> None:
    command(machine, "good")
    command(machine, "bad", 1)
    assert [setup.works(name) for name in ("good", "bad", "absent")] == [True, False, False]


def test_where_we_can_not_install_it_says_what_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        setup.packages("runtime")
    sentence = str(ended.value.code)
    assert sentence.startswith("setup: this machine lacks podman, runc, ")
    assert "install them and run make again" in sentence
    assert "chromium" not in sentence


def test_with_docker_podman_is_not_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(machine, "docker")
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        setup.packages("dev")
    assert "podman" not in str(ended.value.code)
    assert "chromium-driver" in str(ended.value.code)


def test_a_command_that_fails_shows_what_it_said(machine: Path) -> None:
    command(machine, "apt-get", 100)
    with pytest.raises(SystemExit) as ended:
        setup.run(str(machine / "apt-get"), "update")
    assert str(ended.value.code).startswith("said\ncomplained\nsetup: `")
    assert str(ended.value.code).endswith("failed, see above")
