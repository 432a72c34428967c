from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from builder import __main__ as command
from builder import node, product, recipe
from builder.graph import keys, order

from tests.unit.paths import ROOT


@pytest.fixture(params=["lab", "registry"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> recipe.Settings:
    return recipe.Settings(tmp_path / "cache", request.param, "podman")


def test_every_step_can_be_put_in_order_and_has_a_key_of_its_own(settings: recipe.Settings) -> None:
    steps = recipe.steps(settings)
    found = keys(steps, order(steps, steps))
    assert len(set(found.values())) == len(steps)


def test_every_image_is_built_in_both_worlds(settings: recipe.Settings) -> None:
    assert set(product.IMAGES) <= set(recipe.steps(settings))


def test_where_registries_answer_only_kind_and_our_own_images_are_built(tmp_path: Path) -> None:
    steps = recipe.steps(recipe.Settings(tmp_path, "registry", "docker"))
    assert set(steps) == {"go-kind", *product.IMAGES}
    assert all(step.needs == () for step in steps.values())


def test_in_the_lab_no_image_stands_on_something_that_would_be_pulled(tmp_path: Path) -> None:
    steps = recipe.steps(recipe.Settings(tmp_path, "lab", "podman"))
    assert all("debian" in order(steps, [name]) for name in product.IMAGES)
    assert "traefik" in steps["proxy"].needs


def test_what_nodes_begin_with_changes_with_its_images_and_not_with_the_collection(tmp_path: Path) -> None:
    steps = recipe.steps(recipe.Settings(tmp_path, "lab", "podman"))
    needed = order(steps, ["node-store"])
    assert {"node", "hub", "singleuser", "proxy", "csi-btrfs"} < set(needed)
    assert "tools" not in needed


def test_published_bases_have_the_versions_that_the_lab_builds() -> None:
    bases = product.published(ROOT / "lab/go")
    assert bases.debian == "docker.io/library/debian:bookworm-slim"
    assert bases.traefik is not None
    assert bases.traefik.startswith("docker.io/library/traefik:v3.")


@pytest.mark.parametrize("name", sorted(product.IMAGES))
def test_every_containerfile_takes_its_base_as_an_argument(name: str) -> None:
    lines = (ROOT / product.IMAGES[name] / "Containerfile").read_text(encoding="utf-8").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    stages = {line.split()[3] for line in lines if line.startswith("FROM ") and " AS " in line}
    assert bases
    assert all(base.startswith("$") or base in stages for base in bases)


def test_a_step_that_makes_an_image_tells_its_reference(settings: recipe.Settings) -> None:
    steps = recipe.steps(settings)
    told = recipe.artefacts(settings, steps, ["hub", "go-kind"])
    folder = Path(told["hub"]["folder"])
    assert folder.parent == settings.cache / "artefacts"
    assert told["hub"]["image"] == f"localhost/coursehub/hub:{folder.name.removeprefix('hub-')}"
    assert "image" not in told["go-kind"]


def test_an_images_reference_is_its_artefacts_name_and_key() -> None:
    assert node.base_reference(Path("/c/csi-btrfs-0123"), "p") == "p/csi-btrfs:0123"


def test_the_node_carries_all_that_kubeadm_and_the_storage_ask_for() -> None:
    listed = [
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/coredns/coredns:v1.14.0",
        "registry.k8s.io/pause:3.10",
    ]
    found = node.component_references(listed, ROOT / "lab/go")
    assert found["coredns"] == listed[1]
    assert found["csi-resizer"].startswith("registry.k8s.io/sig-storage/csi-resizer:v2.")
    assert found["cilium"] == node.CILIUM_IMAGE
    assert set(node.SIDECARS) <= set(found)


# The command.


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["builder", *words])
    monkeypatch.setattr(command.signal, "signal", lambda *_words: None)
    return command.main()


def test_a_plan_tells_what_is_missing_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    assert run(monkeypatch, "--plan", "--cache", str(cache), "hub") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["missing"] == ["debian", "hub"]
    assert set(told["artefacts"]) == {"debian", "hub"}
    assert not cache.exists()


def test_a_target_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--cache", str(tmp_path), "hubb") == 1
    assert capsys.readouterr().err.startswith("error: there is no step 'hubb'; there are: ")


def test_an_interrupt_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_settings: recipe.Settings) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "steps", interrupted)
    assert run(monkeypatch, "--cache", str(tmp_path)) == 130
    assert "the next run goes on from there" in capsys.readouterr().err


# The image that runs the collection.


def test_the_tools_are_built_anew_when_the_collection_changes(settings: recipe.Settings) -> None:
    steps = recipe.steps(settings)
    assert {path.name for path in steps["tools"].files} == {"tools", *product.COLLECTION}
    assert [path.name for path in steps["hub"].files] == ["hub"]
    assert (steps["tools"].files[0] / "coursehub_tools/__main__.py").is_file()


def test_the_tools_image_gets_the_collection_beside_its_own_files(tmp_path: Path) -> None:
    folder, part = tmp_path / "tools", tmp_path / "plugins"
    (part / "modules/__pycache__").mkdir(parents=True)
    (part / "modules/one.py").touch()
    folder.mkdir()
    (folder / "Containerfile").touch()
    (folder / "package/__pycache__").mkdir(parents=True)
    (folder / "package/__pycache__/one.pyc").touch()
    (folder / "package/one.py").touch()
    context = product._with_collection(folder, [part], tmp_path / "context")
    found = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    assert found == ["Containerfile", "collection/plugins/modules/one.py", "package/one.py"]
    assert not list(context.rglob("__pycache__"))
