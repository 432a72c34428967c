#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drive_import
short_description: Bring students' homes back from Google Drive, onto new disks
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Makes a new disk for each student and brings onto it what M(coursehub.jupyterhub.drive_export) has exported, with
    names, times and modes. The student's own disk is left alone. Students who are named in O(students) need have none,
    with O(size) and O(storage_class).
  - O(students) may be given beside O(roster), and picks from it. Of a roster alone, students who have no disk are left
    out; most of them have never logged in.
  - A disk that has all of an export already is left as it is. To get a newer one, name another O(new_disk).
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.drive
  - coursehub.jupyterhub.drive.jobs
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
  - coursehub.jupyterhub.students
  - coursehub.jupyterhub.students.workers
attributes:
  diff_mode:
    details: Shows the disks that were made, or would be.
options:
  new_disk:
    description: The beginning of the new disks' names, by O(coursehub.jupyterhub.student_disk_restore#module:new_disk).
    type: str
    required: true
  size:
    description: The new disks' size, as a Kubernetes quantity. The default is that of the student's disk. Needed where
      that is gone.
    type: str
  storage_class:
    description: Their StorageClass. The default is that of the student's disk. Needed where that is gone.
    type: str
  partial:
    description: Whether an export that never came to its end is brought back as far as it is there.
    type: bool
    default: false
  gone:
    description:
      - Whether what was no longer at home when it was exported last comes back too, where nothing else has its place.
        Drive has it until it is pruned.
    type: bool
    default: false
  acknowledge_abuse:
    description:
      - Whether files come back too that Google takes for malware or spam. Google gives them only to the account that
        owns them, or that is a manager of the shared drive, and wants a person to say so. Without this they stay in
        Drive and are named; all others come back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring Alice's home back from the course's shared drive
  coursehub.jupyterhub.drive_import:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    students: [alice]
    owner: shared_drive
    credentials_secret: drive-credentials
    folder: 0AAbCdEfGhIjKUk9PVA
    new_disk: from-drive
"""

RETURN = r"""
students:
  description: What was done, or would be, for each student.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    disk:
      description: The claim that has the files.
      type: str
    taken:
      description: When the export was taken.
      type: str
    files:
      description: How many files came back; V(0) where they were there already.
      type: int
    bytes:
      description: How many bytes these have.
      type: int
    changed:
      description: Whether something was done.
      type: bool
    problems:
      description: The first files that are in Drive and did not come back, or not as the export's list says, and why.
      type: list
      elements: str
    problems_count:
      description: How many these are.
      type: int
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      disk: from-drive-disk-alice
      taken: "2026-11-26T02:00:11+00:00"
      files: 312
      bytes: 48210331
      changed: true
      problems: []
      problems_count: 0
      failed: ""
without_disk:
  description: The students of the roster who have no disk yet, and are not imported.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _claims,
    _course,
    _disk_module,
    _disks,
    _export_door,
    _exporter,
    _exporting,
    _imports,
    _lock,
    _names,
    _slots,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

# What all students' requests have in common.
_COMMON = ("folder", "partial", "gone", "acknowledge_abuse")


class Run:
    """One run of imports."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        _accounts.check(parameters)
        _names.check_new_disk(parameters["new_disk"])
        self._wanted_columns = _accounts.wanted_columns(parameters)
        _exporter.check(parameters)
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._outcomes: dict[str, _imports.Outcome] = {}
        # The new disks that are there already.
        self._there: dict[str, Object] = {}

    def __call__(self) -> Object:
        parameters = self._parameters
        deadline = time.monotonic() + parameters["wait_timeout"]
        choice = self._course.look(parameters, 0, allow_new=True).choice
        disks: dict[str, _disks.Disk | None] = {disk.student: disk for disk in choice.disks}
        if parameters["students"]:
            disks |= dict.fromkeys(choice.without_disk)
        roster = parameters["roster"]
        columns = _disks.read_lines(roster, sorted(self._wanted_columns)) if roster else {}
        accounts = _accounts.accounts(disks, parameters, columns)
        _export_door.check_priority(self._course, parameters["priority_class"], parameters["concurrency"])
        _export_door.check_account(self._course, parameters["workload_identity_audience"])
        absent, wrong = _export_door.secrets(self._course, accounts.values())
        if absent or wrong:
            no_key = [f"{why}: put what Google gave you there" for why in absent.values()]
            raise CoursehubError("; ".join([*no_key, *wrong.values()]))
        bodies = {
            student: _imports.claim(student, parameters["new_disk"], self._course.namespace, disk, parameters)
            for student, disk in disks.items()
        }
        self._plan(bodies)
        todo = {student: bodies[student] for student, one in self._outcomes.items() if one.changed}
        warnings: list[str] = []
        if todo and not self._check_mode:
            exporter = _exporting.Exporter(self._course, _workers.image(self._course, parameters), deadline)
            exporter.sweep()
            self._bring(exporter, todo, accounts, deadline)
            warnings = exporter.warnings
        outcomes = list(self._outcomes.values())
        return {
            "changed": any(one.changed for one in outcomes),
            "students": [vars(one) for one in outcomes],
            "without_disk": [] if parameters["students"] else list(choice.without_disk),
            **({"warnings": warnings} if warnings else {}),
            "diff": {"before": "", "after": "".join(f"{one.disk}\n" for one in outcomes if one.changed)},
        }

    def _plan(self, bodies: dict[str, Object]) -> None:
        """Note what is there already. Raises CoursehubError where a claim of somebody else's is in the way."""
        problems = []
        for student, body in bodies.items():
            name = body["metadata"]["name"]
            outcome = self._outcomes[student] = _imports.Outcome(student, name)
            found = self._course.kube.get(*_claims.CLAIM, name, self._course.namespace)
            if found is not None:
                self._there[student] = found
                try:
                    outcome.taken = _imports.taken_of(found, student)
                except CoursehubError as error:
                    problems.append(str(error))
                outcome.changed = not outcome.taken
        if problems:
            raise CoursehubError("; ".join(problems))

    def _bring(
        self,
        exporter: _exporting.Exporter,
        bodies: dict[str, Object],
        accounts: dict[str, _accounts.Account],
        deadline: float,
    ) -> None:
        parameters = self._parameters
        claims = _claims.Claims(self._course.kube, self._course.namespace, deadline)
        # Those that are there already, of a run that failed, may be of different zones: no node could have them all.
        zones: dict[str, list[str]] = {}
        for student in bodies:
            volume = self._there.get(student, {}).get("spec", {}).get("volumeName", "")
            zones.setdefault(_slots.topology(claims.volume(volume)), []).append(student)
        size = parameters["students_per_job"]
        batches = dict(enumerate(batch for every in zones.values() for batch in _slots.batches(every, size)))
        at_once = min(parameters["concurrency"], len(batches))
        rates = _slots.share(_slots.rates(parameters), at_once, [accounts[student].identity for student in bodies])

        def one(number: int) -> None:
            # One node for all, which the Job's pod can then use.
            first = batches[number][0]
            node = claims.node_for(self._there.get(first) or bodies[first])
            good = []
            for student in batches[number]:
                name = bodies[student]["metadata"]["name"]
                try:
                    claims.create(_imports.on_node(bodies[student], node))
                    why = f"the new disk {name} got no volume: look why (kubectl describe pvc {name})"
                    exporter.disks.await_bound(name, why)
                    good.append(student)
                except CoursehubError as error:
                    self._fail(student, str(error))
            if not good:
                return
            people = [_exporter.Person(accounts[student], self._outcomes[student].disk) for student in good]
            common = {name: parameters[name] for name in _COMMON} | asdict(rates)
            task = _exporter.Task(
                f"drive-import-{number}",
                "import",
                people,
                common,
                api_address=parameters["api_address"],
                priority_class=parameters["priority_class"],
                audience=parameters["workload_identity_audience"],
            )
            told = exporter.jobs.run(task)
            for student in good:
                self._note(claims, student, told[student])

        _results, errors = self._course.each("importing homes", batches, one, at_once)
        for number, error in errors.items():
            for student in batches[number]:
                self._fail(student, str(error))

    def _note(self, claims: _claims.Claims, student: str, told: Object) -> None:
        outcome = self._outcomes[student]
        if told["failed"]:
            self._fail(student, str(told["failed"]).removeprefix(f"{student}: "))
            return
        outcome.files, outcome.bytes, outcome.taken = int(told["files"]), int(told["bytes"]), str(told["taken"])
        outcome.problems, outcome.problems_count = list(told["problems"]), int(told["problems_count"])
        note = _imports.note(student, outcome.taken)
        try:
            claims.merge(outcome.disk, {"metadata": {"annotations": {_imports.ANNOTATION: note}}})
        except CoursehubError as error:
            self._fail(student, f"the files are on {outcome.disk}, and that can't be noted on it: {error}")

    def _fail(self, student: str, reason: str) -> None:
        self._outcomes[student].failed = self._outcomes[student].failed or reason


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            **_accounts.ARGUMENTS,
            **_exporter.ARGUMENTS,
            "new_disk": {"type": "str", "required": True},
            "size": {"type": "str"},
            "storage_class": {"type": "str"},
            "partial": {"type": "bool", "default": False},
            "gone": {"type": "bool", "default": False},
            "acknowledge_abuse": {"type": "bool", "default": False},
            "image": {"type": "str"},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: Run(course, module.params, module.check_mode), _lock.DRIVE_NAME, pick=True)


if __name__ == "__main__":
    main()
