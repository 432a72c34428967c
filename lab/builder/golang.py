"""The Go binaries of the lab, all from the one pinned module in ``lab/go``.

One module, so that all binaries share the compile cache: as modules of their own the
same build took 35 minutes instead of 13 on two cores.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import shell
from .graph import BuildError, Job, Step

LEGO = "github.com/go-acme/lego/v4"

# traefik links 180 DNS providers through lego and takes 12 minutes for it. The lab asks no
# certificate authority for anything; with this stub it takes under 2.
LEGO_STUB = Path(__file__).with_name("dns_providers.go").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Group:
    """Binaries that are built by one ``go build``: import path -> name of the binary."""

    name: str
    binaries: Mapping[str, str]
    tags: tuple[str, ...] = ()
    stamp_kubernetes: bool = False
    stub_lego: bool = False
    # Name of a file -> the module, and which of its files are put together in it, one YAML document after the other.
    manifests: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


def _same_names(prefix: str, names: str) -> dict[str, str]:
    return {f"{prefix}/{name}": name for name in names.split()}


GROUPS = (
    # The API server first: it compiles what all the others share.
    Group(
        "go-kubernetes",
        _same_names(
            "k8s.io/kubernetes/cmd",
            "kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet",
        ),
        stamp_kubernetes=True,
    ),
    Group("go-kind", {"sigs.k8s.io/kind": "kind"}),
    Group(
        "go-containerd",
        _same_names("github.com/containerd/containerd/v2/cmd", "containerd containerd-shim-runc-v2 ctr"),
        tags=("no_btrfs", "no_devmapper", "no_zfs"),
    ),
    Group("go-etcd", {"go.etcd.io/etcd/server/v3": "etcd"}),
    Group("go-coredns", {"github.com/coredns/coredns": "coredns"}),
    Group(
        "go-csi",
        {
            "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher": "csi-attacher",
            "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner": "csi-provisioner",
            "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer": "csi-resizer",
            "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter": "csi-snapshotter",
            "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller": "snapshot-controller",
        },
    ),
    Group("go-csi-sanity", {"github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity": "csi-sanity"}),
    Group("go-helm", {"helm.sh/helm/v3/cmd/helm": "helm"}),
    Group(
        "go-cilium",
        {
            "github.com/cilium/cilium/daemon": "cilium-agent",
            "github.com/cilium/cilium/cilium-dbg": "cilium-dbg",
            "github.com/cilium/cilium/plugins/cilium-cni": "cilium-cni",
            "github.com/cilium/cilium/tools/mount": "cilium-mount",
        },
        tags=("osusergo",),
    ),
    Group(
        "go-cilium-operator",
        {"github.com/cilium/cilium/operator": "cilium-operator-generic"},
        tags=("osusergo", "ipam_provider_operator"),
    ),
    Group("go-traefik", {"github.com/traefik/traefik/v3/cmd/traefik": "traefik"}, stub_lego=True),
    # Which clusters of clouds have.
    Group("go-metrics-server", {"sigs.k8s.io/metrics-server/cmd/metrics-server": "metrics-server"}),
    # The real autoscaler, whose nodes are none, and what plays their kubelets. Both are processes, no images. Groups of
    # their own: `go build` calls both binaries kwok.
    Group(
        "go-karpenter",
        {"sigs.k8s.io/karpenter/kwok": "karpenter"},
        manifests={"crds.yaml": ("sigs.k8s.io/karpenter", ("kwok/charts/crds/*.yaml", "kwok/apis/crds/*.yaml"))},
    ),
    Group(
        "go-kwok",
        {"sigs.k8s.io/kwok/cmd/kwok": "kwok"},
        manifests={
            "stages.yaml": (
                "sigs.k8s.io/kwok",
                ("kustomize/stage/node/fast/node-*.yaml", "kustomize/stage/pod/fast/pod-*.yaml"),
            )
        },
    ),
)


def module_folder(go_module: Path, path: str) -> Path:
    """Return where the module cache holds a module's files, fetching them when absent."""
    return Path(json.loads(shell.output(["go", "mod", "download", "-json", path], cwd=go_module))["Dir"])


def module_version(go_module: Path, path: str) -> str:
    """Return the version that ``go.mod`` pins for a module, ``v1.36.3``.

    Read as text, not by ``go list``: keys are computed where Go may not be installed.
    """
    for line in (go_module / "go.mod").read_text(encoding="utf-8").splitlines():
        words = line.removeprefix("require").split()
        if len(words) >= 2 and words[0] == path and words[1].startswith("v"):
            return words[1]
    raise BuildError(f"{go_module / 'go.mod'} does not require {path}")


def kubernetes_stamp(version: str) -> str:
    """Return the linker flags without which kubeadm and kind refuse the binaries."""
    major, minor, _patch = version.removeprefix("v").split(".")
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


def joined(folder: Path, patterns: Iterable[str]) -> str:
    """Return what patterns name in a folder, as one stream of YAML. Raises BuildError where one names nothing."""
    documents = []
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if not found:
            raise BuildError(f"{folder.name} has no {pattern}")
        documents += [path.read_text(encoding="utf-8").strip().removeprefix("---").strip() for path in found]
    return "\n---\n".join(documents) + "\n"


def _environment() -> dict[str, str]:
    # The module's own settings decide, not what a person has set for other projects. A compiler lives for seconds: it
    # collects garbage only when it has 2 GiB of it, twice of which fit in 8. With no DWARF, which the linker's -w would
    # throw away, that was 62 s of processor time in the place of 72 for etcd, which is far below the limit.
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    env |= {"GOGC": "off", "GOMEMLIMIT": "2GiB"}
    env.pop("GOOS", None)
    env.pop("GOARCH", None)
    return env


def _without_dns_providers(go_module: Path, work: Path) -> Path:
    """Copy lego with the stub in place; return a go.mod that uses the copy.

    A go.mod of its own because ``-overlay`` refuses files below the module cache.
    """
    copy = work / "lego"
    shutil.copytree(module_folder(go_module, LEGO), copy, copy_function=shutil.copyfile)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    (copy / "providers/dns/zz_gen_dns_providers.go").write_text(LEGO_STUB, encoding="utf-8")
    text = (go_module / "go.mod").read_text(encoding="utf-8")
    text = text.replace("=> ./", f"=> {go_module}/") + f"\nreplace {LEGO} => {copy}\n"
    modfile = work / "lab.mod"
    modfile.write_text(text, encoding="utf-8")
    shutil.copyfile(go_module / "go.sum", work / "lab.sum")
    return modfile


def step(go_module: Path, group: Group) -> Step:
    """Return the step that builds a group's binaries into its folder."""
    ldflags = "-s -w"
    if group.stamp_kubernetes:
        ldflags += " " + kubernetes_stamp(module_version(go_module, "k8s.io/kubernetes"))

    def build(job: Job) -> None:
        target, log = job.target, job.log
        flags = ["-trimpath", "-v", "-ldflags", ldflags, "-gcflags=all=-dwarf=false"]
        if group.tags:
            flags += ["-tags", ",".join(group.tags)]
        work = target / ".work"
        if group.stub_lego:
            work.mkdir()
            flags += ["-modfile", str(_without_dns_providers(go_module, work))]
        packages = 0

        def count(line: str) -> None:
            nonlocal packages
            if "/" in line and " " not in line.strip():
                packages += 1
                log.status = f"{packages} packages compiled"

        log.status = "fetching modules"
        # One call for the whole group, so that the linker runs beside the compiler.
        shell.run(
            ["go", "build", *flags, "-o", f"{target}/", *group.binaries],
            log,
            cwd=go_module,
            env=_environment(),
            on_line=count,
        )
        shutil.rmtree(work, ignore_errors=True)
        for path, name in group.binaries.items():
            built = target / _default_name(path)
            if built.name != name:
                built.rename(target / name)
        for name, (module, patterns) in group.manifests.items():
            (target / name).write_text(joined(module_folder(go_module, module), patterns), encoding="utf-8")

    return Step(
        name=group.name,
        lane="go",
        build=build,
        inputs=(
            ldflags,
            *group.tags,
            *(f"{k}={v}" for k, v in group.binaries.items()),
            LEGO_STUB if group.stub_lego else "",
            *(f"{name}={module}:{','.join(patterns)}" for name, (module, patterns) in group.manifests.items()),
        ),
        files=(go_module,),
    )


def _default_name(import_path: str) -> str:
    """Return what ``go build`` calls the binary: the last element that is no version."""
    *rest, last = import_path.split("/")
    return rest[-1] if last[0] == "v" and last[1:].isdigit() else last
