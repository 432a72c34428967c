"""All steps, in both worlds: the lab, where nothing can be pulled, and where registries answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import debian, golang, node, product
from .engine import Engine
from .graph import Step, keys, order

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "lab"
PREFIX = "localhost/coursehub"
# Images of one binary each.
BINARIES = ("traefik", "metrics-server")
IMAGE_STEPS = ("debian", "node-packages", "clang-packages", "node", *BINARIES, *product.IMAGES)


@dataclass(frozen=True)
class Settings:
    """Where artefacts are kept, where bases come from, and what builds images."""

    cache: Path
    source: str
    engine: str

    @property
    def container_engine(self) -> Engine:
        return Engine(self.engine, self.cache)


def steps(settings: Settings) -> dict[str, Step]:
    """Return every step by name."""
    engine = settings.container_engine
    result = [golang.step(LAB / "go", group) for group in golang.GROUPS]
    if settings.source == "lab":
        result += [
            debian.step(engine, f"{PREFIX}/debian"),
            *node.package_steps(engine, LAB, PREFIX),
            node.step(engine, LAB, PREFIX),
            node.store_step(engine, PREFIX),
            *(product.binary_step(engine, LAB, PREFIX, name) for name in BINARIES),
        ]
        bases = product.Bases(debian=None, traefik=None)
    else:
        bases = product.published(LAB / "go")
        result = [step for step in result if step.name == "go-kind"]
    result += product.steps(engine, ROOT, PREFIX, bases)
    return {step.name: _in_store(engine, step) for step in result}


def _in_store(engine: Engine, step: Step) -> Step:
    """An image is complete while its artefact's folder and the engine's image are both there."""
    if step.name not in IMAGE_STEPS:
        return step
    return replace(step, intact=lambda folder: engine.has_image(node.base_reference(folder, PREFIX)))


def artefacts(settings: Settings, all_steps: Mapping[str, Step], wanted: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return for each wanted step its folder, and for an image its reference."""
    names = order(all_steps, wanted)
    result = {}
    for name, key in keys(all_steps, names).items():
        folder = settings.cache / "artefacts" / f"{name}-{key}"
        result[name] = {"folder": str(folder)}
        if name in IMAGE_STEPS:
            result[name]["image"] = node.base_reference(folder, PREFIX)
    return result
