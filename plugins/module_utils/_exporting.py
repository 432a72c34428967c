# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exporter's Jobs with their disks, for one run."""

from __future__ import annotations

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _course,
    _exporter,
    _exporter_disks,
    _exporter_jobs,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


class Exporter:
    """Jobs and disks in a namespace. ``deadline`` is in ``time.monotonic`` seconds.

    Whoever uses it holds the lock for exports: what it finds of other Jobs is of a run that was killed.
    """

    def __init__(self, course: _course.Course, image: str, deadline: float) -> None:
        # What could not be removed, in sentences.
        self.warnings: list[str] = []
        self._course = course
        self.jobs = _exporter_jobs.Jobs(course, image, deadline, self.warnings)
        self.disks = _exporter_disks.Disks(course, self.jobs, deadline, self.warnings)

    def sweep(self) -> None:
        """Remove what a run that was killed has left: its Jobs, its pace, its clones and their volumes. States stay."""
        _results, errors = _bulk.each(self.jobs.names(), self.jobs.remove)
        for name, error in errors.items():
            raise CoursehubError(f"{name}, which an earlier run left, can't be removed: {error}") from error
        self.forget_pace()
        self.disks.release_clones()
        self.disks.forget_volumes()

    def forget_pace(self) -> None:
        """Remove what tells the Jobs of a run their pace. Left over it is harmless: no other run's Jobs go by it."""
        try:
            self._course.still_alone()
            self._course.kube.delete("v1", "ConfigMap", _exporter.PACE, self._course.namespace)
        except CoursehubError as error:
            self.warnings.append(f"the ConfigMap {_exporter.PACE} can't be removed: {error}: the next run tries again")
