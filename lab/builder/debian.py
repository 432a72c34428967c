"""The base image: a minimal Debian made from Debian's own packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import shell
from .engine import Engine
from .graph import Job, Step

SUITE = "bookworm"
# The machine's own list, where it has one, so that security updates come from where the machine has them.
MACHINE_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
# A container image needs neither of these, and they are half of it.
LEFT_OUT = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def step(engine: Engine, reference_name: str) -> Step:
    """Return the step that makes the base image and writes its reference."""

    def build(job: Job) -> None:
        root = job.target / "root"

        def show(line: str) -> None:
            job.log.status = line.strip().removeprefix("I: ")[:60]

        shell.run(["debootstrap", "--variant=minbase", SUITE, str(root)], job.log, on_line=show)
        job.log.status = "importing the file system"
        for name in LEFT_OUT:
            shutil.rmtree(root / name)
            (root / name).mkdir()
        if MACHINE_SOURCES.exists() and SUITE in MACHINE_SOURCES.read_text(encoding="utf-8"):
            shutil.copyfile(MACHINE_SOURCES, root / "etc/apt/sources.list.d/debian.sources")
            (root / "etc/apt/sources.list").unlink()
        archive = job.target / "root.tar"
        shell.run(["tar", "--create", "--file", str(archive), "--directory", str(root), "."], job.log)
        engine.run(job.log, "import", str(archive), f"{reference_name}:{job.key}")
        shutil.rmtree(root)
        archive.unlink()

    return Step(name="debian", lane="debian", build=build, inputs=(SUITE, *LEFT_OUT))
