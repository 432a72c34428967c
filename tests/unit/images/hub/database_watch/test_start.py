"""Where the watch begins: with either of the two ways in which a hub's process does."""

from __future__ import annotations

import importlib
import runpy
import sys
from types import ModuleType
from unittest import mock

import pytest
from coursehub_hub import settings
from coursehub_hub.database_watch import watch

from tests.unit.paths import ROOT

URL = "postgresql://hub:secret@db.example.org:5432/hub"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(watch, "start", urls.append)
    return urls


@pytest.mark.parametrize(("url", "begins"), [("", [""]), (URL, [])])
def test_a_hub_with_a_file_begins_it_with_its_configuration(
    started: list[str], monkeypatch: pytest.MonkeyPatch, url: str, begins: list[str]
) -> None:
    monkeypatch.setattr(settings, "read", mock.Mock())
    monkeypatch.setattr(settings, "apply", mock.Mock())
    for name in ("COURSEHUB_VALUES", "COURSEHUB_SECRETS"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("COURSEHUB_DATABASE_URL", url)
    runpy.run_path(str(ROOT / "images/hub/jupyterhub_config.py"), {"get_config": mock.Mock()})
    assert started == begins


def test_one_that_may_stand_by_begins_it_before_it_is_its_turn(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class TurnError(Exception):
        pass

    # Clients that only the image has.
    for name in ("psycopg", "kubernetes_asyncio"):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock(spec=ModuleType))
    for name in ("client", "config"):
        setattr(sys.modules["kubernetes_asyncio"], name, mock.MagicMock())
    before = set(sys.modules)
    try:
        program = importlib.import_module("coursehub_hub.standby.__main__")
        monkeypatch.setattr(program, "import_module", mock.Mock())
        monkeypatch.setattr(program.health, "serve", mock.Mock())
        monkeypatch.setattr(program, "Guard", mock.Mock(side_effect=TurnError))
        monkeypatch.setattr(program.logging, "basicConfig", mock.Mock())
        monkeypatch.setenv("COURSEHUB_DATABASE_URL", URL)
        monkeypatch.setenv("POD_NAME", "hub-5f")
        monkeypatch.setenv("POD_NAMESPACE", "coursehub")
        with pytest.raises(TurnError):
            program.main()
    finally:
        # They stand on what is no client.
        for name in set(sys.modules) - before:
            if name.startswith("coursehub_hub.standby"):
                del sys.modules[name]
    assert started == [URL]
