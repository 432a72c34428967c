from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.action import lab_build

from tests.unit.plugins.action.task import run_action

# Stands in for the builder: writes how it was called and does what the test says.
BUILDER = """
import json, sys
from pathlib import Path
here = Path(__file__).parent
here.joinpath("calls").write_text(json.dumps(sys.argv[1:]))
exec(here.joinpath("does").read_text())
"""
RESULT = 'Path(sys.argv[sys.argv.index("--result") + 1]).write_text(json.dumps({}))'


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "builder"
    package.mkdir()
    (package / "__main__.py").write_text(BUILDER, encoding="utf-8")
    monkeypatch.setattr(lab_build, "_LAB", tmp_path)
    return package


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(lab_build.Display, "display", lambda _self, text: lines.append(text))
    return lines


def build(builder: Path, script: str, *, check_mode: bool = False) -> dict[str, Any]:
    (builder / "does").write_text(script, encoding="utf-8")
    arguments = {"targets": ["hub", "proxy"], "cache_dir": "/cache", "source": "lab", "engine": "podman"}
    return run_action(lab_build.ActionModule, arguments, check_mode=check_mode)


def result(content: str) -> str:
    return RESULT.replace("{}", content)


def test_what_was_built(builder: Path, shown: list[str]) -> None:
    artefacts = '{"hub": {"folder": "f", "image": "hub:1"}}'
    done = build(
        builder, "print('[  0:00] hub: started')\n" + result(f'{{"built": {{"hub": 1.5}}, "artefacts": {artefacts}}}')
    )
    assert done == {
        "changed": True,
        "built": ["hub"],
        "seconds": {"hub": 1.5},
        "artefacts": {"hub": {"folder": "f", "image": "hub:1"}},
    }
    assert shown == ["  [  0:00] hub: started"]
    assert (
        (builder / "calls")
        .read_text(encoding="utf-8")
        .endswith('"--cache", "/cache", "--source", "lab", "--engine", "podman", "hub", "proxy"]')
    )


@pytest.mark.usefixtures("shown")
def test_nothing_to_build(builder: Path) -> None:
    done = build(builder, result('{"built": {}, "artefacts": {}}'))
    assert (done["changed"], done["built"]) == (False, [])


@pytest.mark.usefixtures("shown")
def test_a_dry_run_asks_for_a_plan(builder: Path) -> None:
    done = build(builder, result('{"missing": ["hub"], "artefacts": {}}'), check_mode=True)
    assert (done["changed"], done["built"]) == (True, ["hub"])
    assert '"--plan"' in (builder / "calls").read_text(encoding="utf-8")


def test_a_failure_is_the_builders_own_sentence(builder: Path, shown: list[str]) -> None:
    done = build(builder, "print('error: hub: no room', file=sys.stderr); sys.exit(1)")
    assert done == {"failed": True, "msg": "hub: no room"}
    assert shown == []


@pytest.mark.usefixtures("shown")
def test_a_failure_without_a_word(builder: Path) -> None:
    assert build(builder, "sys.exit(3)") == {"failed": True, "msg": "the builder ended with 3"}
