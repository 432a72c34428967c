# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths in a student's home that are restored beside what is there; without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def checked(paths: Iterable[str]) -> list[str]:
    """Return the paths in their shortest form, each once. Raises CoursehubError for one that is not below the home."""
    result = []
    for text in paths:
        path = PurePosixPath(text)
        if not text.strip() or path == PurePosixPath():
            raise CoursehubError(
                f"paths has '{text}': name a file or a folder in the home; without paths the whole disk is restored"
            )
        if path.is_absolute() or ".." in path.parts or "\0" in text:
            raise CoursehubError(f"paths has '{text}', which leaves the home: write it as in week3/homework.ipynb")
        result.append(str(path))
    return list(dict.fromkeys(result))


def folder(taken: datetime) -> str:
    """Return the name of the folder in the home, of the moment that its files are of, in UTC."""
    return f"restored-{taken.astimezone(UTC):%Y%m%dT%H%M%SZ}"
