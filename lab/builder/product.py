"""The project's own images, from the Containerfiles in ``images/`` and ``lab/``."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import golang
from .engine import Engine
from .graph import Job, Step
from .node import base_reference

# Image -> its folder.
IMAGES = {
    "hub": "images/hub",
    "singleuser": "images/singleuser",
    "proxy": "images/proxy",
    "tools": "images/tools",
    "database": "images/database",
    "csi-btrfs": "lab/csi",
    "drive-emulator": "lab/drive",
}
# What goes into `tools` of the collection: it runs the same playbooks as a person. Folders, which an installed
# collection has too; its galaxy.yml is no longer there.
COLLECTION = ("meta", "playbooks", "plugins", "roles")
TRAEFIK = "github.com/traefik/traefik/v3"


@dataclass(frozen=True)
class Bases:
    """What the images stand on: a published reference, or None for the lab's own build."""

    debian: str | None
    traefik: str | None


def published(go_module: Path) -> Bases:
    """Return the bases where registries answer: the same Debian release, the same traefik version."""
    return Bases(
        debian="docker.io/library/debian:bookworm-slim",
        traefik=f"docker.io/library/traefik:{golang.module_version(go_module, TRAEFIK)}",
    )


def steps(engine: Engine, root: Path, prefix: str, bases: Bases) -> list[Step]:
    """Return one step an image."""
    return [_step(engine, root, name, prefix, bases) for name in IMAGES]


def _step(engine: Engine, root: Path, name: str, prefix: str, bases: Bases) -> Step:
    folder = root / IMAGES[name]
    collection = [root / part for part in COLLECTION] if name == "tools" else []
    needs: tuple[str, ...] = () if bases.debian else ("debian",)
    with_traefik = name == "proxy"
    if with_traefik and not bases.traefik:
        needs = (*needs, "traefik")

    def build(job: Job) -> None:
        arguments = {"BASE": bases.debian or base_reference(job.paths["debian"], prefix)}
        if with_traefik:
            arguments["TRAEFIK"] = bases.traefik or base_reference(job.paths["traefik"], prefix)
        job.log.status = "building the image"
        context = _with_collection(folder, collection, job.target / "context") if collection else folder
        engine.build(
            job.log,
            context,
            f"{prefix}/{name}:{job.key}",
            containerfile=folder / "Containerfile",
            arguments=arguments,
        )
        if collection:
            shutil.rmtree(context)

    return Step(
        name=name,
        lane="images",
        build=build,
        needs=needs,
        inputs=(bases.debian or "", (bases.traefik or "") if with_traefik else ""),
        files=(folder, *collection),
    )


def _with_collection(folder: Path, collection: Sequence[Path], context: Path) -> Path:
    """Lay out a build context of an image's folder and the collection; return it."""
    shutil.copytree(folder, context, ignore=shutil.ignore_patterns("__pycache__"))
    for part in collection:
        shutil.copytree(part, context / "collection" / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    return context


def binary_step(engine: Engine, lab: Path, prefix: str, name: str) -> Step:
    """Return the step that makes an image of one of the lab's binaries, with it where the published image has it."""
    containerfile = lab / f"node/Containerfile.{name}"

    def build(job: Job) -> None:
        context = job.target / "context"
        context.mkdir()
        (context / name).hardlink_to(job.paths[f"go-{name}"] / name)
        engine.build(job.log, context, f"{prefix}/{name}:{job.key}", containerfile=containerfile)
        (context / name).unlink()
        context.rmdir()

    return Step(name=name, lane="images", build=build, needs=(f"go-{name}",), files=(containerfile,))
