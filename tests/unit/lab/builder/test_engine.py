from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _engine
from builder import engine as engine_module
from builder.engine import Engine
from builder.graph import BuildError, Log


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both engines, which write down how they are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = tmp_path / "calls"
    file.touch()
    for name in ("podman", "docker"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{file}\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return file


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_the_builder_and_the_modules_run_the_engine_in_the_same_store(tmp_path: Path, name: str) -> None:
    assert Engine(name, tmp_path).environment == _engine.environment(name, str(tmp_path))


@pytest.mark.usefixtures("calls")
def test_podman_gets_a_store_of_its_own_below_the_cache(tmp_path: Path) -> None:
    engine = Engine("podman", tmp_path / "cache")
    engine.prepare()
    storage = tomllib.loads(Path(engine.environment["CONTAINERS_STORAGE_CONF"]).read_text(encoding="utf-8"))["storage"]
    containers = tomllib.loads(Path(engine.environment["CONTAINERS_CONF"]).read_text(encoding="utf-8"))
    assert storage["graphroot"] == f"{tmp_path}/cache/engine/storage"
    assert containers["network"]["network_config_dir"] == f"{tmp_path}/cache/engine/networks"
    assert containers["engine"]["lock_type"] == "file"


@pytest.mark.usefixtures("calls")
def test_two_caches_have_two_stores_that_share_nothing(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        engine = Engine("podman", tmp_path / name)
        engine.prepare()
        texts.append(Path(engine.environment["CONTAINERS_STORAGE_CONF"]).read_text(encoding="utf-8"))
    roots = [tomllib.loads(text)["storage"]["runroot"] for text in texts]
    assert roots[0] != roots[1]


@pytest.mark.usefixtures("calls")
def test_docker_is_used_as_it_is(tmp_path: Path) -> None:
    Engine("docker", tmp_path / "cache").prepare()
    assert not (tmp_path / "cache").exists()


def test_an_engine_that_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="there is no podman on this machine: install it"):
        Engine("podman", tmp_path).prepare()


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_a_build_is_handed_the_machines_authorities_as_secrets_and_not_as_files(
    tmp_path: Path, calls: Path, log: Log, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    monkeypatch.setattr(engine_module, "CA_BUNDLES", (tmp_path / "none", bundle))
    monkeypatch.setattr(engine_module, "_pip_conf", lambda with_bundle: f"bundle: {with_bundle}")
    engine = Engine(name, tmp_path)
    engine.build(
        log, tmp_path / "context", "hub:1", containerfile=tmp_path / "f", target="t", arguments={"BASE": "b:1"}
    )
    line = calls.read_text(encoding="utf-8").strip()
    assert line.startswith(f"{name} build --tag hub:1 --file {tmp_path}/f")
    assert ("--isolation chroot" in line) == (name == "podman")
    assert f"--secret id=ca,src={bundle}" in line
    assert f"--secret id=pip_conf,src={tmp_path}/engine/pip.conf" in line
    assert line.endswith(f"--target t --build-arg BASE=b:1 {tmp_path}/context")
    assert (tmp_path / "engine/pip.conf").read_text(encoding="utf-8") == "bundle: True"


def test_pip_reaches_in_a_build_what_it_reaches_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "global.index-url='https://pip.example.org/simple'\nglobal.find-links='/srv/wheels'\nglobal.timeout='5'"
    monkeypatch.setattr(engine_module.shell, "output", lambda _command: listed)
    lines = engine_module._pip_conf(True).splitlines()
    assert "index-url = https://pip.example.org/simple" in lines
    assert "cert = /run/secrets/ca" in lines
    assert not [line for line in lines if "wheels" in line or "timeout" in line]
    assert "cert" not in engine_module._pip_conf(False)


@pytest.mark.parametrize(("name", "many"), [("podman", True), ("docker", False)])
def test_several_images_go_into_one_archive(tmp_path: Path, calls: Path, log: Log, name: str, many: bool) -> None:
    Engine(name, tmp_path).save(log, tmp_path / "a.tar", ["x:1", "y:1"])
    line = calls.read_text(encoding="utf-8").strip()
    assert ("--multi-image-archive" in line) == many
    assert line.endswith(f"--output {tmp_path}/a.tar x:1 y:1")


def test_an_image_is_there_or_not(tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Engine("docker", tmp_path).has_image("x:1")
    (tmp_path / "bin/docker").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert not Engine("docker", tmp_path).has_image("x:1")


def test_a_limit_is_what_the_machine_lets_us_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for hard, expected in ((engine_module.resource.RLIM_INFINITY, 100), (50, 50), (200, 100)):
        monkeypatch.setattr(engine_module.resource, "getrlimit", lambda _name, hard=hard: (1, hard))
        assert engine_module._limit("nofile", 100) == f'"nofile={expected}:{expected}"'
