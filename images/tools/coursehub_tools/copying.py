"""Files and folders brought back from a snapshot into a student's home, beside what is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import placing, tree
from .request import Copy
from .result import FailedError, Progress, say, shown

Parts = tuple[str, ...]

# For us, in a folder that is made on the way to what was asked for.
_PASSABLE = 0o700
_MOST_FOLDERS = 1000


@dataclass
class _Content:
    """What a path of the snapshot holds: files and links, their bytes, and what is neither and left out."""

    files: int = 0
    bytes: int = 0
    left_out: int = 0
    # The path itself is neither.
    special: bool = False


def run(request: Copy, source: Path, disk: Path) -> dict[str, Any]:
    """Copy what was asked for. The same request again finds it there and changes nothing."""
    with tree.top(source) as snapshot, tree.top(disk) as home:
        for parts in request.paths:
            with _parent(snapshot, parts):
                pass
        found = {parts: _content(snapshot, parts) for parts in _outermost(request.paths)}
        files = sum(one.files for one in found.values())
        size = sum(one.bytes for one in found.values())
        say(f"asked for: {files} files, {size} bytes")
        wanted = [parts for parts, one in found.items() if not one.special]
        work = f".coursehub-restore-{request.into}"
        with placing.writing(size):
            placing.remove(home, work)
        folder, absent = _choose(request.into, wanted, snapshot, home)
        if absent:
            with placing.writing(sum(found[parts].bytes for parts in absent)):
                _write(work, folder, absent, snapshot, home)
    say(f"{'restored to' if absent else 'all of it is already in'} {folder}")
    return {
        "folder": folder,
        "files": files,
        "bytes": size,
        "changed": bool(absent),
        "left_out": sum(one.left_out for one in found.values()),
    }


def _outermost(paths: Sequence[Parts]) -> list[Parts]:
    """Leave out what comes with a folder that is asked for too."""
    return [one for one in paths if not any(one[: len(other)] == other for other in paths if other != one)]


@contextmanager
def _parent(snapshot: int, parts: Parts) -> Iterator[int]:
    """Hold the folder of the snapshot open that has a path's last part, and see that this is there."""
    with ExitStack() as stack:
        folder = snapshot
        for index, part in enumerate(parts):
            path = "/".join(parts[: index + 1])
            try:
                entry = tree.look(folder, part, path)
                if index + 1 == len(parts):
                    break
                if entry.kind == "link":
                    raise FailedError(
                        f"'{shown('/'.join(parts))}' lies behind the link '{shown(path)}', which may lead outward: "
                        "name it by the folder that it really lies in"
                    )
                stack.enter_context(tree.unlocked(entry, tree.READABLE))
                folder = tree.open_folder(folder, part)
            except (FileNotFoundError, NotADirectoryError):
                raise FailedError(
                    f"'{shown('/'.join(parts))}' is not in the snapshot: look for its name, or take an older snapshot"
                ) from None
            except OSError as error:
                tree.refuse(path, error)
            stack.callback(os.close, folder)
        yield folder


def _content(snapshot: int, parts: Parts) -> _Content:
    content = _Content()
    with _parent(snapshot, parts) as folder, closing(tree.walk(folder, parts[-1:], unlock=tree.READABLE)) as entries:
        for entry in entries:
            if entry.kind == "special":
                content.left_out += 1
                content.special = entry.path == parts[-1]
            elif entry.kind != "folder":
                content.files += 1
                content.bytes += entry.stat.st_size if entry.kind == "file" else 0
    return content


def _choose(into: str, wanted: Sequence[Parts], snapshot: int, home: int) -> tuple[str, list[Parts]]:
    """Return the first folder in which all that is wanted is absent or identical, and what is absent."""
    for number in range(1, _MOST_FOLDERS + 1):
        folder = into if number == 1 else f"{into}-{number}"
        absent = []
        for parts in wanted:
            there = _there(snapshot, home, folder, parts)
            if there is None:
                absent.append(parts)
            elif not there:
                break
        else:
            return folder, absent
    raise FailedError(
        f"the home has {_MOST_FOLDERS} folders named like '{shown(into)}', all with something else in them: "
        "move some away, then restore again"
    )


def _there(snapshot: int, home: int, folder: str, parts: Parts) -> bool | None:
    """Tell whether what is in that folder of the home is what is wanted; None where nothing is."""
    with ExitStack() as stack:
        inner = home
        try:
            for part in (folder, *parts[:-1]):
                inner = tree.open_folder(inner, part)
                stack.callback(os.close, inner)
            tree.look(inner, parts[-1], parts[-1])
        except FileNotFoundError:
            return None
        except OSError:
            # A file or a link where a folder is to be, or one that can't be entered.
            return False
        with _parent(snapshot, parts) as source:
            return placing.identical(source, inner, parts[-1])


def _write(work: str, folder: str, absent: Sequence[Parts], snapshot: int, home: int) -> None:
    progress = Progress("copied")
    with placing.work_folder(home, work) as inner:
        for index, parts in enumerate(absent):
            with _parent(snapshot, parts) as source:
                placing.copy(source, parts[-1], inner, str(index), progress)
        placing.sync(inner)
        for index, parts in enumerate(absent):
            with _way(snapshot, home, folder, parts) as place:
                placing.publish(inner, str(index), place, parts[-1])


@contextmanager
def _way(snapshot: int, home: int, folder: str, parts: Parts) -> Iterator[int]:
    """Hold the folder of the home open that a path goes into, made on the way with the snapshot's modes."""
    with ExitStack() as stack:
        inner = _step(stack, home, folder, 0o755)
        for index, part in enumerate(parts[:-1]):
            with _parent(snapshot, parts[: index + 1]) as source:
                mode = tree.look(source, part, part).mode
            inner = _step(stack, inner, part, mode | _PASSABLE)
        yield inner


def _step(stack: ExitStack, folder: int, name: str, mode: int) -> int:
    made = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
        made = True
    inner = tree.open_folder(folder, name)
    stack.callback(os.close, inner)
    if made:
        os.fchmod(inner, mode)
    return inner
