from __future__ import annotations

import json
from pathlib import Path

import pytest
from builder import golang
from builder.graph import BuildError, Job, Log

from tests.unit.paths import ROOT

GO_MODULE = ROOT / "lab/go"


@pytest.mark.parametrize(
    "text", ["require example.org/a v1.2.3\n", "require (\n\texample.org/a v1.2.3 // indirect\n)\n"]
)
def test_the_version_that_a_module_is_pinned_to(tmp_path: Path, text: str) -> None:
    (tmp_path / "go.mod").write_text(f"module lab\n{text}", encoding="utf-8")
    assert golang.module_version(tmp_path, "example.org/a") == "v1.2.3"


def test_a_module_that_is_not_pinned(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module lab\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"go\.mod does not require example\.org/a$"):
        golang.module_version(tmp_path, "example.org/a")


def test_every_binary_comes_from_a_module_that_is_pinned() -> None:
    text = (GO_MODULE / "go.mod").read_text(encoding="utf-8")
    pinned = [line.split()[0] for line in text.splitlines() if line.startswith("\t") and " v" in line]
    for group in golang.GROUPS:
        for path in group.binaries:
            assert any(path == module or path.startswith(f"{module}/") for module in pinned), path


def test_no_two_groups_build_the_same_binary() -> None:
    names = [name for group in golang.GROUPS for name in group.binaries.values()]
    assert len(names) == len(set(names))


def test_kubernetes_is_stamped_with_its_version() -> None:
    stamp = golang.kubernetes_stamp("v1.36.3")
    for setting in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"-X k8s.io/component-base/version.{setting}" in stamp


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("sigs.k8s.io/kind", "kind"),
    ],
)
def test_what_go_calls_a_binary(path: str, name: str) -> None:
    assert golang._default_name(path) == name


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A go that writes down how it is called and makes the files it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    lego = tmp_path / "modcache/lego"
    (lego / "providers/dns").mkdir(parents=True)
    (lego / "providers/dns/zz_gen_dns_providers.go").write_text("180 of them", encoding="utf-8")
    lego.chmod(0o555)
    script = f"""#!/bin/sh
printf '%s\\n' "$*" "CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS GOOS=${{GOOS-unset}}" >>{tmp_path}/calls
case "$1" in mod) echo '{json.dumps({"Dir": str(lego)})}'; exit ;; esac
while test "$1" != -o; do
  test "$1" = -modfile && cp "$2" {tmp_path}/modfile && cp {{}}/providers/dns/*.go {tmp_path}/stub 2>/dev/null
  shift
done
target=$2; shift 2
for path in "$@"; do echo binary >"$target$(basename "$path")"; done
echo golang.org/x/net/http2
"""
    (folder / "go").write_text(script, encoding="utf-8")
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setenv("GOOS", "plan9")
    return tmp_path


def build(folder: Path, group: golang.Group) -> Path:
    module = folder / "module"
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text(
        "module lab\n\nrequire k8s.io/kubernetes v1.36.3\n\nreplace a => ./a\n", encoding="utf-8"
    )
    (module / "go.sum").touch()
    target = folder / "target"
    target.mkdir()
    golang.step(module, group).build(Job("key", target, {}, Log(folder / "log")))
    return target


def test_a_group_is_built_by_one_call_and_binaries_get_their_names(go: Path) -> None:
    group = golang.Group("g", {"example.org/cmd/one": "one", "example.org/cmd/two": "deux"}, tags=("a", "b"))
    target = build(go, group)
    assert sorted(path.name for path in target.iterdir()) == ["deux", "one"]
    call, environment = (go / "calls").read_text(encoding="utf-8").splitlines()
    assert call.startswith("build -trimpath -v -ldflags -s -w -gcflags=all=-dwarf=false -tags a,b -o ")
    assert call.endswith("example.org/cmd/one example.org/cmd/two")
    assert environment == "CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOOS=unset"


def test_kubernetes_gets_its_stamp(go: Path) -> None:
    build(go, golang.Group("g", {"k8s.io/kubernetes/cmd/kubelet": "kubelet"}, stamp_kubernetes=True))
    assert "gitVersion=v1.36.3" in (go / "calls").read_text(encoding="utf-8")


def test_traefik_is_built_with_a_lego_that_knows_no_providers(go: Path) -> None:
    target = build(go, golang.Group("g", {"example.org/traefik": "traefik"}, stub_lego=True))
    modfile = (go / "modfile").read_text(encoding="utf-8")
    assert f"replace {golang.LEGO} => {target}/.work/lego" in modfile
    assert f"replace a => {go}/module/a" in modfile
    # The work folder is no part of the artefact, and the module cache is as it was.
    assert [path.name for path in target.iterdir()] == ["traefik"]
    assert (go / "modcache/lego/providers/dns/zz_gen_dns_providers.go").read_text(encoding="utf-8") == "180 of them"


def test_the_stub_is_go_of_the_right_package() -> None:
    assert "package dns" in golang.LEGO_STUB
    assert "func NewDNSChallengeProviderByName(" in golang.LEGO_STUB


def test_manifests_of_a_module_are_one_stream_beside_the_binary(go: Path) -> None:
    folder = go / "modcache/lego/crds"
    # The stand-in of go has the same folder for every module.
    folder.parent.chmod(0o755)
    folder.mkdir()
    (folder / "b.yaml").write_text("kind: B\n", encoding="utf-8")
    (folder / "a.yaml").write_text("---\nkind: A\n", encoding="utf-8")
    group = golang.Group(
        "g", {"example.org/cmd/one": "one"}, manifests={"crds.yaml": ("example.org", ("crds/*.yaml",))}
    )
    assert (build(go, group) / "crds.yaml").read_text(encoding="utf-8") == "kind: A\n---\nkind: B\n"


def test_manifests_that_a_module_lacks_end_the_build(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"has no crds/\*\.yaml$"):
        golang.joined(tmp_path, ["crds/*.yaml"])


def test_a_group_without_manifests_keeps_the_key_that_it_had() -> None:
    with_none = golang.step(GO_MODULE, golang.Group("g", {"a": "a"}))
    assert with_none.inputs == ("-s -w", "a=a", "")
