# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hub's spawner calls a student's disk; without I/O.

A disk that is made ahead of class must have the name that the spawner looks for. The rules are KubeSpawner's scheme
``safe`` (https://jupyterhub-kubespawner.readthedocs.io/en/latest/templates.html).
"""

from __future__ import annotations

import hashlib
import re

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

PREFIX = "disk-"
# The longest part of a name that comes from a student's.
LONGEST = 48
# What precedes a disk's name in those of the disks that runs make for themselves, and remove; and of students' own.
OWN_PREFIXES = ("disk", "drive-state", "export", "restore", "scratch")
_HASH_LENGTH = 8
_SAFE = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?\Z")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_UNSAFE_RUN = re.compile(r"[^a-z0-9]+")


def check(student: str) -> str:
    """Return a student's name. Raises CoursehubError for one that the hub would not know by that spelling."""
    if student != student.strip() or not student:
        raise CoursehubError(f"the student '{student}' has spaces around the name: write it as the hub does")
    if student != student.lower():
        raise CoursehubError(
            f"the student '{student}' has capital letters, the hub's names have none: write {student.lower()}"
        )
    return student


def slug(student: str) -> str:
    """Return a student's name as Kubernetes takes it; names that it does not take get a hash, so that none collide."""
    if "--" not in student and len(student) <= LONGEST and _SAFE.match(student):
        return student
    digest = hashlib.sha256(student.encode()).hexdigest()[:_HASH_LENGTH]
    longest = LONGEST - _HASH_LENGTH - len("---")
    short = _UNSAFE_RUN.sub("-", student.lower()).lstrip("-")[:longest].rstrip("-")
    if short and not "a" <= short[0] <= "z":
        short = f"x-{short[: longest - 2]}"
    return f"{short or 'x'}---{digest}"


def check_new_disk(prefix: str) -> None:
    """See that new disks may be called ``prefix``, a hyphen and the student's disk. Raises CoursehubError."""
    if not _PREFIX.match(prefix):
        raise CoursehubError(
            f"new_disk is '{prefix}', and names of disks are of a-z, 0-9 and hyphens, 63 at most: set another one"
        )
    if prefix in OWN_PREFIXES:
        raise CoursehubError(f"new_disk is '{prefix}', which disks are called that are removed again: set another one")


def claim_name(student: str) -> str:
    """Return the name of a student's disk."""
    return f"{PREFIX}{slug(student)}"
