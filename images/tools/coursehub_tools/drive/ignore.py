"""Which files stay at home: gitignore's syntax, for all, for the course, and for the student (``.driveignore``).

Later lines win, so a student can have with ``!`` what a default leaves out. As in git, what is in a folder that is left
out can't be had back by itself.
"""

from __future__ import annotations

import math
import os
import re
import stat
import time
from collections.abc import Callable, Sequence

from pathspec import GitIgnoreSpec

from .. import tree
from ..result import FailedError, shown

FILE = ".driveignore"
# What a program makes again by itself.
DEFAULTS = (
    ".ipynb_checkpoints/",
    "__pycache__/",
    ".cache/",
    ".local/share/Trash/",
    ".Trash-*/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".npm/",
    ".conda/pkgs/",
    "node_modules/",
    ".venv/",
    "venv/",
    ".virtualenvs/",
    ".~lock.*#",
    ".nfs*",
    "/lost+found/",
)
_MOST_BYTES = 64 * 1024
_MOST_LINES = 1000
# A pattern is matched by trying: the time grows with a path's length to the power of its stars. On a path of 3800
# letters two take 2 ms, three 0.2 s, four 11 s, and a student's line must not hold up the others in the pod.
_MOST_STARS = 3
# Of the lines with so many: matching one path can't be stopped. With these, and a thousand with two, it takes 6 s.
_MOST_COSTLY = 20
# A thousand such lines would still take 100 s a name. Measured: as many plain ones take 11 s for
# 100 000 names.
_MOST_SECONDS = 120


class Ignore:
    """What is left out of one walk. ``problems`` are lines that can't be used.

    ``clock`` tells the seconds that this thread has computed: a node that is busy with others is no fault of the lines.
    """

    def __init__(
        self,
        course: Sequence[str] = (),
        student: Sequence[str] = (),
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.problems: list[str] = []
        self._clock = clock
        self._left = float(_MOST_SECONDS) if student else math.inf
        self._spec = GitIgnoreSpec.from_lines([*DEFAULTS, *course_lines(course), *self._usable(student)])

    def _usable(self, lines: Sequence[str]) -> list[str]:
        usable = []
        costly = 0
        for number, line in enumerate(lines, 1):
            why = _unusable(line) if number <= _MOST_LINES else f"the file has more than {_MOST_LINES} lines"
            costly += _stars(line) == _MOST_STARS
            if why is None and _stars(line) == _MOST_STARS and costly > _MOST_COSTLY:
                why = f"more than {_MOST_COSTLY} lines have {_MOST_STARS} stars"
            if why is None:
                usable.append(line)
            elif len(self.problems) < 5:
                self.problems.append(f"{FILE} line {number}: {why}")
        return usable

    def leaves_out(self, path: str, *, folder: bool) -> bool:
        """Tell whether a file or folder is left out; asked of a folder before it is asked of what is in it.

        Raises FailedError where the student's lines take too long. To go on without them would send to Drive what the
        student keeps out of it.
        """
        began = self._clock()
        found = self._spec.match_file(f"{path}/" if folder else path)
        self._left -= self._clock() - began
        if self._left < 0:
            raise FailedError(
                f"the home's {FILE} takes more than {_MOST_SECONDS} s to match: the student is to write fewer lines in"
                " it, with fewer stars, and nothing is exported until then"
            )
        return found


def course_lines(lines: Sequence[str]) -> list[str]:
    """Return the course's lines. Raises FailedError for one that gitignore's syntax does not have."""
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise FailedError(f"the course's exclude '{shown(line)}' can't be used ({error}): correct it") from None
    return list(lines)


def _stars(line: str) -> int:
    return len(re.findall(r"\*+", line))


def _unusable(line: str) -> str | None:
    if _stars(line) > _MOST_STARS:
        return f"'{shown(line)}' has more than {_MOST_STARS} stars"
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return f"'{shown(line)}' is no pattern"
    return None


def student_lines(home: int) -> list[str]:
    """Read a student's own file at the top of the home; none where there is none, or where it is no small file."""
    try:
        with tree.open_file(tree.look(home, FILE, FILE), unlock=True) as file:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return []
            data = os.pread(file, _MOST_BYTES, 0)
    except OSError:
        return []
    return os.fsdecode(data).splitlines()
