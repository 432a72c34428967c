"""The container engine: podman or docker, driven by its command."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import shell
from .graph import BuildError, Log

# Where Debian, Red Hat and SUSE keep the machine's certificate authorities.
CA_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "find-links")


def _limit(name: str, wanted: int) -> str:
    """Return a limit that the machine lets us set: root without CAP_SYS_RESOURCE can't raise it."""
    _soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    return f'"{name}={value}:{value}"'


@dataclass(frozen=True)
class Engine:
    """An engine and, for podman, a store of its own below the cache.

    A store of its own, so that nothing of the machine's other containers is ever listed,
    pruned or removed by us.
    """

    name: str
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables under which every engine and kind command runs."""
        if self.name != "podman":
            return {}
        folder = self.cache / "engine"
        return {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "KIND_EXPERIMENTAL_PROVIDER": "podman",
        }

    def prepare(self) -> None:
        """Write the engine's configuration. Raises BuildError where the engine is absent."""
        if shutil.which(self.name) is None:
            raise BuildError(f"there is no {self.name} on this machine: install it, or name another container engine")
        if self.name != "podman":
            return
        folder = self.cache / "engine"
        folder.mkdir(parents=True, exist_ok=True)
        run = f"/run/coursehub-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
        runc = shutil.which("runc") or "/usr/sbin/runc"
        _write(
            folder / "storage.conf",
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{run}/storage"\n',
        )
        _write(
            folder / "containers.conf",
            # podman lowers its own limit of processes to 32768, and what it starts can't go above that.
            # crun refuses the hybrid cgroup layout. Kubernetes has more than 2048 processes a node.
            # Locks as files: those in shared memory are one set for all podman stores of a machine.
            "[containers]\npids_limit = 0\n"
            f"default_ulimits = [{_limit('nofile', 1048576)}, {_limit('nproc', 32000)}]\n"
            f'[engine]\nruntime = "{runc}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'lock_type = "file"\ntmp_dir = "{run}/libpod"\n'
            f'[network]\nnetwork_config_dir = "{folder}/networks"\n',
        )

    def command(self, *arguments: str) -> list[str]:
        return [self.name, *arguments]

    def run(self, log: Log, *arguments: str) -> None:
        shell.run(self.command(*arguments), log, env={**os.environ, **self.environment})

    def output(self, *arguments: str) -> str:
        return shell.output(self.command(*arguments), env={**os.environ, **self.environment})

    def has_image(self, reference: str) -> bool:
        """Tell whether the engine holds an image."""
        return (
            subprocess.run(
                self.command("image", "inspect", "--format", "ok", reference),
                env={**os.environ, **self.environment},
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )

    def build(
        self,
        log: Log,
        context: Path,
        reference: str,
        *,
        containerfile: Path,
        target: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        """Build one image of a Containerfile.

        The machine's certificate authorities and pip's settings are handed in as build
        secrets: a mirror or an inspecting proxy works, and no image remembers it.
        """
        command = ["build", "--tag", reference, "--file", str(containerfile)]
        if self.name == "podman":
            command += ["--isolation", "chroot"]
        for secret, path in self._secrets().items():
            command += ["--secret", f"id={secret},src={path}"]
        if target:
            command += ["--target", target]
        for key, value in (arguments or {}).items():
            command += ["--build-arg", f"{key}={value}"]
        self.run(log, *command, str(context))

    def save(self, log: Log, archive: Path, references: Sequence[str]) -> None:
        """Write images into one archive."""
        many = ["--multi-image-archive", "--format", "docker-archive"] if self.name == "podman" else []
        self.run(log, "save", *many, "--output", str(archive), *references)

    def _secrets(self) -> dict[str, Path]:
        folder = self.cache / "engine"
        folder.mkdir(parents=True, exist_ok=True)
        bundle = next((path for path in CA_BUNDLES if path.exists()), None)
        pip = folder / "pip.conf"
        _write(pip, _pip_conf(bundle is not None))
        return {"pip_conf": pip, **({"ca": bundle} if bundle else {})}


def _pip_conf(with_bundle: bool) -> str:
    """Return what pip needs inside a build to reach what it reaches outside."""
    lines = ["[global]", "disable-pip-version-check = true", "root-user-action = ignore"]
    if with_bundle:
        lines.append("cert = /run/secrets/ca")
    for line in shell.output([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        setting, _equals, value = line.partition("=")
        name = setting.rpartition(".")[2]
        value = value.strip("'")
        # A folder of this machine is not there inside a build.
        if name in PIP_SETTINGS and value and not value.startswith("/"):
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
