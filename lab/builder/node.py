"""The kind node image: Kubernetes, Cilium and the CSI sidecars, ready to start without a registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import golang, shell
from .engine import Engine
from .graph import BuildError, Job, Step

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
# Waits for containerd's socket by trying it, 10 s at most, and takes the images in.
IMPORT = """
containerd >/var/log/containerd-import.log 2>&1 &
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
ctr --namespace=k8s.io images import --label=io.cri-containerd.pinned=pinned \\
  --all-platforms --no-unpack --digests /archive/images.tar
kill %1
wait
rm -rf /var/log/containerd-import.log /run/containerd
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
        archive = job.target / "images.tar"
        job.log.status = "saving images"
        engine.save(job.log, archive, list(references.values()))
        bare = f"{prefix}/node-bare:{job.key}"
        job.log.status = "installing the node"
        engine.build(
            job.log,
            context,
            bare,
            containerfile=lab / "node/Containerfile",
            arguments={"PACKAGES": base_reference(job.paths["node-packages"], prefix)},
        )
        job.log.status = "loading the node with its images"
        _load(engine, job, bare, f"{prefix}/node:{job.key}")
        engine.run(job.log, "rmi", "--force", bare, *references.values())
        archive.unlink()
        shutil.rmtree(context)

    return Step(
        name="node",
        lane="engine",
        build=build,
        needs=("node-packages", "clang-packages", *BINARIES),
        inputs=(IMPORT,),
        files=(lab / "node",),
    )


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


def _load(engine: Engine, job: Job, bare: str, reference: str) -> None:
    container = f"coursehub-node-{job.key}"
    engine.run(job.log, "rm", "--force", container)
    engine.run(
        job.log,
        *("run", "--name", container, "--privileged", "--network", "none", "--tmpfs", "/run"),
        *("--volume", f"{job.target}:/archive:ro", "--entrypoint", "/bin/bash", bare, "-ec", IMPORT),
    )
    restore = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
    engine.run(job.log, "commit", "--change", restore, container, reference)
    engine.run(job.log, "rm", "--force", container)
    if not engine.has_image(reference):
        raise BuildError(f"the engine does not list {reference} after it was committed")


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
