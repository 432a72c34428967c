"""What has to be built and in which order: steps, their keys, and the runner.

A step is kept under ``<cache>/<name>-<key>``, where the key is a hash of all that goes
into it. A folder with that name is complete by construction (it is renamed into place
when its step ends well), so a second run builds nothing and an interrupted one goes on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

HEARTBEAT_S = 20


class BuildError(Exception):
    """A step failed; the message says which, why, and where its log is."""


def _always(_path: Path) -> bool:
    return True


@dataclass(frozen=True)
class Step:
    """One artefact.

    ``build`` is called with the step's job. ``lane`` names what the step waits for: steps of one lane run
    one after the other (two Go builds on two cores only take each other's time), steps of
    different lanes side by side. ``intact`` tells whether a kept folder is still good, for
    artefacts that partly live elsewhere (a container engine's image store).
    """

    name: str
    lane: str
    build: Callable[[Job], None]
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    intact: Callable[[Path], bool] = _always


class Log:
    """A step's log file, and the one line that is shown while it runs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.status = ""
        self._file = path.open("w", encoding="utf-8")

    def write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class Job:
    """What a step's build works with: its key, its fresh output folder, others' folders."""

    key: str
    target: Path
    paths: Mapping[str, Path]
    log: Log


@dataclass
class Outcome:
    """What a run did: folders by step, the seconds of each step that was built."""

    paths: dict[str, Path] = field(default_factory=dict)
    built: dict[str, float] = field(default_factory=dict)


def _hash_file(digest: hashlib._Hash, root: Path, path: Path) -> None:
    digest.update(str(path.relative_to(root)).encode())
    digest.update(b"\0")
    digest.update(hashlib.sha256(path.read_bytes()).digest())


def hash_files(paths: Iterable[Path]) -> str:
    """Hash files and folders by relative name and content, in a stable order."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_dir():
            for item in sorted(path.rglob("*")):
                if item.is_file() and "__pycache__" not in item.parts:
                    _hash_file(digest, path.parent, item)
        else:
            _hash_file(digest, path.parent, path)
    return digest.hexdigest()


def order(steps: Mapping[str, Step], wanted: Iterable[str]) -> list[str]:
    """Return the wanted steps and all they need, each after its needs.

    Raises BuildError for a name that no step has, or a circle.
    """
    done: list[str] = []
    open_steps: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name not in steps:
            raise BuildError(f"there is no step '{name}'; there are: {', '.join(sorted(steps))}")
        if name in open_steps:
            raise BuildError(f"steps need each other in a circle: {' -> '.join([*open_steps, name])}")
        open_steps.append(name)
        for need in steps[name].needs:
            visit(need)
        open_steps.pop()
        done.append(name)

    for name in wanted:
        visit(name)
    return done


def keys(steps: Mapping[str, Step], names: Iterable[str]) -> dict[str, str]:
    """Compute each step's key; a step's key changes when that of anything it needs does."""
    result: dict[str, str] = {}
    for name in names:
        step = steps[name]
        digest = hashlib.sha256()
        parts = [name, *step.inputs, hash_files(step.files), *(result[need] for need in step.needs)]
        for part in parts:
            digest.update(part.encode())
            digest.update(b"\0")
        result[name] = digest.hexdigest()[:16]
    return result


class Runner:
    """Builds what is missing, lanes side by side, and tells how it goes."""

    def __init__(self, cache: Path, steps: Mapping[str, Step], say: Callable[[str], None]) -> None:
        self.cache = cache
        self.steps = steps
        self._say = say
        self._lanes: dict[str, threading.Lock] = {}
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        elapsed = int(time.monotonic() - self._start)
        self._say(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {text}")

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """Return the steps that a run would build."""
        names = order(self.steps, wanted)
        hashes = keys(self.steps, names)
        return [name for name in names if not self._complete(name, hashes[name])]

    def _folder(self, name: str, key: str) -> Path:
        return self.cache / "artefacts" / f"{name}-{key}"

    def _complete(self, name: str, key: str) -> bool:
        folder = self._folder(name, key)
        return folder.is_dir() and self.steps[name].intact(folder)

    def run(self, wanted: Iterable[str]) -> Outcome:
        """Build the wanted steps. Raises BuildError with the first failure."""
        names = order(self.steps, wanted)
        hashes = keys(self.steps, names)
        outcome = Outcome(paths={name: self._folder(name, hashes[name]) for name in names})
        todo = [name for name in names if not self._complete(name, hashes[name])]
        if not todo:
            return outcome
        self.say(f"to build: {', '.join(todo)}")
        finished = set(names) - set(todo)
        running: dict[Future[float], str] = {}
        logs: dict[str, Log] = {}
        waiting = list(todo)
        failure: BaseException | None = None
        with ThreadPoolExecutor(max_workers=len(todo)) as pool:
            while waiting or running:
                for name in [n for n in waiting if failure is None and finished.issuperset(self.steps[n].needs)]:
                    waiting.remove(name)
                    logs[name] = Log(self.cache / "logs" / f"{name}.log")
                    running[pool.submit(self._build, name, hashes[name], outcome.paths, logs[name])] = name
                if not running:
                    break
                done, _pending = wait(running, timeout=HEARTBEAT_S, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    logs[name].close()
                    error = future.exception()
                    if error is None:
                        outcome.built[name] = future.result()
                        finished.add(name)
                        self.say(f"{name}: built in {future.result():.0f} s ({len(outcome.built)} of {len(todo)})")
                    elif failure is None:
                        failure = error
                        self.say(f"{name}: failed ({error}), waiting for what else runs")
                if not done:
                    for name in running.values():
                        if logs[name].status:
                            self.say(f"{name}: {logs[name].status}")
        if failure is not None:
            if isinstance(failure, BuildError):
                raise failure
            raise BuildError(str(failure)) from failure
        return outcome

    def _build(self, name: str, key: str, paths: Mapping[str, Path], log: Log) -> float:
        step = self.steps[name]
        target = paths[name]
        with self._lanes.setdefault(step.lane, threading.Lock()):
            start = time.monotonic()
            self.say(f"{name}: started")
            log.status = "running"
            fresh = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            try:
                step.build(Job(key, fresh, paths, log))
                shutil.rmtree(target, ignore_errors=True)
                fresh.rename(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            return time.monotonic() - start
