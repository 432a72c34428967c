from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import kind_images
from hypothesis import given
from hypothesis import strategies as st

IMAGES = st.lists(st.sampled_from("abcdef"), unique=True)


def test_only_what_a_node_lacks_is_loaded_into_it() -> None:
    assert kind_images.missing({"one": {"hub"}, "two": set(), "three": {"hub", "proxy"}}, ["hub", "proxy"]) == {
        "one": ["proxy"],
        "two": ["hub", "proxy"],
    }


@given(st.dictionaries(st.text(min_size=1, max_size=3), IMAGES.map(set)), IMAGES)
def test_after_loading_nothing_is_missing(held: dict[str, set[str]], wanted: list[str]) -> None:
    plan = kind_images.missing(held, wanted)
    loaded = {node: images | set(plan.get(node, [])) for node, images in held.items()}
    assert kind_images.missing(loaded, wanted) == {}
    assert all(held[node].isdisjoint(images) and images for node, images in plan.items())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kind with two nodes, the second of which holds no image, and an engine; both write down how they are called."""
    scripts = {
        "kind": 'case "$1 $2" in "get nodes") echo one two ;; esac',
        "docker": 'case "$1 $2" in "exec one") echo hub:1 ;; esac',
        "podman": 'case "$1 $2" in "exec one") echo hub:1 ;; esac',
    }
    for name, body in scripts.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n{body}\n', encoding="utf-8")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return tmp_path


def parameters(tools: Path, **more: Any) -> dict[str, Any]:
    values = {"name": "test", "kind": str(tools / "kind"), "engine": "docker", "environment_variables": {}}
    return {**values, "images": ["hub:1"], **more}


def calls(tools: Path, what: str) -> list[str]:
    lines = (tools / "calls").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(what)]


def test_images_are_saved_once_and_loaded_where_they_are_missing(tools: Path) -> None:
    result = kind_images.run(parameters(tools), False, str(tools))
    assert result["loaded"] == {"two": ["hub:1"]}
    (save,) = calls(tools, "docker save")
    assert save.endswith("images.tar hub:1")
    (load,) = calls(tools, "kind load")
    assert load.endswith("--name test --nodes two")


def test_podman_is_asked_for_an_archive_that_kind_can_read(tools: Path) -> None:
    kind_images.run(parameters(tools, engine="podman"), False, str(tools))
    (save,) = calls(tools, "podman save")
    assert "--multi-image-archive --format docker-archive" in save


def test_a_dry_run_loads_nothing(tools: Path) -> None:
    assert kind_images.run(parameters(tools), True, str(tools))["changed"]
    assert calls(tools, "docker save") == calls(tools, "kind load") == []


def test_nothing_to_load(tools: Path) -> None:
    result = kind_images.run(parameters(tools, images=[]), False, str(tools))
    assert not result["changed"]
    assert calls(tools, "kind load") == []


def test_there_is_no_cluster(tools: Path) -> None:
    (tools / "kind").write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(CoursehubError, match="there is no kind cluster 'test': run the cluster role first"):
        kind_images.run(parameters(tools), False, str(tools))


def test_a_command_that_fails_is_named_with_its_complaint(tools: Path) -> None:
    (tools / "docker").write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(CoursehubError, match=r"^`docker exec one ctr` failed: no space left$"):
        kind_images.run(parameters(tools), False, str(tools))
