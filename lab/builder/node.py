"""The kind node: Kubernetes, Cilium and the CSI sidecars, and the images that it begins with, without a registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import golang, shell
from .engine import Engine
from .graph import Job, Step

CILIUM = "github.com/cilium/cilium"
KIND = "sigs.k8s.io/kind"
CILIUM_IMAGE = "localhost/coursehub/cilium:lab"
CILIUM_SCRIPTS = (
    "images/cilium/init-container.sh",
    "plugins/cilium-cni/install-plugin.sh",
    "plugins/cilium-cni/cni-uninstall.sh",
)
# Image name of a CSI sidecar -> module whose version is its tag, as its project publishes it.
SIDECARS = {
    "csi-attacher": "github.com/kubernetes-csi/external-attacher/v4",
    "csi-provisioner": "github.com/kubernetes-csi/external-provisioner/v6",
    "csi-resizer": "github.com/kubernetes-csi/external-resizer/v2",
    "csi-snapshotter": "github.com/kubernetes-csi/external-snapshotter/v8",
    "snapshot-controller": "github.com/kubernetes-csi/external-snapshotter/v8",
}
BINARIES = (
    "go-kubernetes",
    "go-containerd",
    "go-etcd",
    "go-coredns",
    "go-csi",
    "go-helm",
    "go-cilium",
    "go-cilium-operator",
)
# What the nodes begin with; `tools` is not among them: it changes with every line of the collection.
STORED = ("hub", "singleuser", "proxy", "csi-btrfs")
# Waits for containerd's socket by trying it, 10 s at most, and takes the images in. Kubernetes' own are pinned: a
# kubelet that is short of space would remove what can't be pulled again. What is unpacked is not kept packed too.
IMPORT = """
mkdir /target/containerd /var/lib/containerd
mount --bind /target/containerd /var/lib/containerd
containerd &
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
import="ctr --namespace=k8s.io images import --all-platforms --digests --snapshotter=overlayfs"
$import --label=io.cri-containerd.pinned=pinned /node/images.tar
$import /target/images.tar
ctr --namespace=k8s.io content prune references
kill %1
wait
"""


def package_steps(engine: Engine, lab: Path, prefix: str) -> list[Step]:
    """Return the steps that install Debian packages; they overlap with the compiling."""

    def step(target: str) -> Step:
        def build(job: Job) -> None:
            reference = f"{prefix}/{target}-packages:{job.key}"
            arguments = {"BASE": base_reference(job.paths["debian"], prefix)}
            with_context(
                engine, job, reference, lab / "node/Containerfile.packages", target=target, arguments=arguments
            )

        return Step(
            name=f"{target}-packages",
            lane="engine",
            build=build,
            needs=("debian",),
            files=(lab / "node/Containerfile.packages",),
        )

    return [step("node"), step("clang")]


def base_reference(folder: Path, prefix: str) -> str:
    """Return the reference of the image that an artefact's folder stands for."""
    name, _dash, key = folder.name.rpartition("-")
    return f"{prefix}/{name}:{key}"


def with_context(
    engine: Engine,
    job: Job,
    reference: str,
    containerfile: Path,
    *,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
) -> None:
    """Build an image that copies nothing, from an empty context."""
    context = job.target / "context"
    context.mkdir()
    engine.build(job.log, context, reference, containerfile=containerfile, target=target, arguments=arguments)
    context.rmdir()


def component_references(kubeadm_list: Iterable[str], go_module: Path) -> dict[str, str]:
    """Return stage -> image reference for all that the node carries.

    Kubernetes' own come from ``kubeadm config images list``; the sidecars' tags are the
    versions of their modules.
    """
    references = {}
    for reference in kubeadm_list:
        path, _colon, _tag = reference.rpartition(":")
        references[path.rpartition("/")[2]] = reference
    registry = references["pause"].rpartition("/")[0]
    for name, module in SIDECARS.items():
        references[name] = f"{registry}/sig-storage/{name}:{golang.module_version(go_module, module)}"
    return {**references, "cilium": CILIUM_IMAGE}


def step(engine: Engine, lab: Path, prefix: str) -> Step:
    """Return the step that makes the node image."""
    go_module = lab / "go"
    kubernetes = golang.module_version(go_module, "k8s.io/kubernetes")

    def build(job: Job) -> None:
        context = job.target / "context"
        _collect(context, job, lab, kubernetes)
        listed = shell.output(
            [
                str(job.paths["go-kubernetes"] / "kubeadm"),
                "config",
                "images",
                "list",
                "--kubernetes-version",
                kubernetes,
            ]
        )
        references = component_references(listed.split(), go_module)
        (context / "kind/kind/pause").write_text(references["pause"], encoding="utf-8")
        arguments = {
            "BASE": base_reference(job.paths["node-packages"], prefix),
            "CLANG": base_reference(job.paths["clang-packages"], prefix),
        }
        for number, (stage, reference) in enumerate(references.items(), 1):
            job.log.status = f"image {number} of {len(references)}: {stage}"
            engine.build(
                job.log,
                context,
                reference,
                containerfile=lab / "node/Containerfile.images",
                target=stage,
                arguments=arguments,
            )
        job.log.status = "saving images"
        engine.save(job.log, job.target / "images.tar", list(references.values()))
        job.log.status = "installing the node"
        engine.build(
            job.log,
            context,
            f"{prefix}/node:{job.key}",
            containerfile=lab / "node/Containerfile",
            arguments={"PACKAGES": base_reference(job.paths["node-packages"], prefix)},
        )
        engine.run(job.log, "rmi", "--force", *references.values())
        shutil.rmtree(context)

    return Step(
        name="node",
        lane="engine",
        build=build,
        needs=("node-packages", "clang-packages", *BINARIES),
        files=(lab / "node",),
    )


def store_step(engine: Engine, prefix: str) -> Step:
    """Return the step that makes what containerd keeps, with every image unpacked, for nodes to begin with.

    Made once and linked into each node. Images of 2.5 GB that were loaded into three nodes took 391 s of each new
    cluster.
    """

    def build(job: Job) -> None:
        archive = job.target / "images.tar"
        job.log.status = "saving images"
        engine.save(job.log, archive, [base_reference(job.paths[name], prefix) for name in STORED])
        job.log.status = "unpacking images"
        engine.run(
            job.log,
            *("run", "--rm", "--privileged", "--network", "none", "--tmpfs", "/run"),
            *("--volume", f"{job.target}:/target", "--volume", f"{job.paths['node']}:/node:ro"),
            *("--entrypoint", "/bin/bash", base_reference(job.paths["node"], prefix), "-ec", IMPORT),
        )
        archive.unlink()
        # 4 GB each; nodes keep what they have links to.
        for older in job.target.parent.glob("node-store-*"):
            shutil.rmtree(older)

    return Step(name="node-store", lane="engine", build=build, needs=("node", *STORED), inputs=(IMPORT,))


def _collect(context: Path, job: Job, lab: Path, kubernetes: str) -> None:
    """Lay out the build context: binaries, kind's own files, Cilium's programs and chart."""
    go_module = lab / "go"
    (context / "bin").mkdir(parents=True)
    for name in BINARIES:
        for binary in job.paths[name].iterdir():
            # A hard link where it can be: the binaries are 1 GB.
            _link(binary, context / "bin" / binary.name)
    _copy(golang.module_folder(go_module, KIND) / "images/base/files", context / "kind")
    cilium = golang.module_folder(go_module, CILIUM)
    _copy(cilium / "bpf", context / "bpf")
    (context / "cilium-scripts").mkdir()
    for script in CILIUM_SCRIPTS:
        shutil.copyfile(cilium / script, context / "cilium-scripts" / Path(script).name)
    shutil.copyfile(lab / "node/pause.c", context / "pause.c")
    (context / "version").write_text(kubernetes, encoding="utf-8")
    manifests = context / "manifests"
    manifests.mkdir()
    shutil.copyfile(lab / "node/storage.yaml", manifests / "default-storage.yaml")
    chart = context / "chart"
    _copy(cilium / "install/kubernetes/cilium", chart)
    rendered = shell.output(
        [
            str(job.paths["go-helm"] / "helm"),
            *("template", "cilium", str(chart), "--namespace", "kube-system", "--kube-version", kubernetes),
            *("--values", str(lab / "node/cilium-values.yaml")),
        ]
    )
    (manifests / "default-cni.yaml").write_text(rendered + "\n", encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy files without the module cache's read-only modes, which would stay in the image."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
