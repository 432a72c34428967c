#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drive_export
short_description: Export students' homes to Google Drive
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Exports each home from a scratch disk that is made from a snapshot, so that what is in Drive is of one moment and a
    running server is left alone. Jobs in the cluster do it, several students each. The machine that runs this moves no
    student's data.
  - Only what differs is sent. A home of whose snapshot Drive has the export already is left out. It is exported again
    where its proof has failed, once more where files could not be exported, and each time where files wait for a day
    with more room.
  - O(students) may be given beside O(roster), and picks from it.
  - Before the first scratch disk is made, Drive is asked whether it lets each account in. A student whom Drive refuses
    fails; the others are exported all the same.
  - What is known of each student's last good export is written on the disk's claim, for
    M(coursehub.jupyterhub.drive_export_info).
  - Jobs and scratch disks are removed at the end. What a killed run leaves, the next one removes. The small claims
    V(drive-state-*) stay, so that the next run knows what is in Drive; without them it asks Drive.
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
    details: Shows who was exported, or would be, from which snapshot.
options:
  snapshot:
    description:
      - What is exported, V(latest), which is the newest snapshot, V(fresh), which takes one of each disk that may have
        changed since its newest, or the name of a snapshot of the one student that is chosen.
    type: str
    default: latest
  snapshot_class:
    description: The VolumeSnapshotClass. Needed with V(fresh).
    type: str
  verify:
    description: Whether each new export is proven afterwards, by the checksums that Drive tells and the bytes of
      a sample, other files each time.
    type: bool
    default: false
  look:
    description: Whether Drive is asked what others have changed there. Without it the last run's list is trusted, where
      Drive still has that list.
    type: bool
    default: false
  checksum:
    description:
      - Whether each file is read and compared with what Drive has, also one that has the size and the time that it had
        at the last export. Without it such a file is taken for unchanged, and a proof does not find what it hides,
        since that compares Drive with the list. Files that are unpacked again from a zip with fixed times are such.
      - All of each home is read, also where Drive has the export of its snapshot already, so each gets a scratch disk.
        At 100 MB/s a home of 10 GB takes 100 s, and a thousand of them in 4 Jobs 7 hours, which O(wait_timeout) has to
        allow. It costs no more calls of Drive.
    type: bool
    default: false
  prune:
    description: Whether what is gone at home goes into Drive's bin.
    type: bool
    default: false
  bundle:
    description:
      - Whether a folder of many tiny files becomes one zip in Drive. V(auto) does it where that is faster, but not
        where there is a notebook in the folder, since Drive and Colab can't open one in a zip. V(always) does it with
        each folder at the top of the home. A folder of more than 256 MiB is no zip; then the folders in it may be.
    type: str
    choices: [auto, never, always]
    default: auto
  exclude:
    description: What is left out, in gitignore's syntax, beside the exporter's defaults. A student's C(.driveignore)
      has the last word.
    type: list
    elements: str
    default: []
  writes_per_second:
    description: New or changed files that Drive takes of one account.
    type: float
    default: 2
  bytes_per_day:
    description: What Drive takes of one account. It is divided by the Jobs at once that have students of the account,
      and stays so when some of them have ended; each Job counts anew. A file that is larger than such a part is named
      and left out.
    type: float
    default: 805306368000
  report:
    description: A file on the machine that runs this, into which each student's result is written as JSON.
    type: path
"""

EXAMPLES = r"""
- name: Export all homes into the course's shared drive
  coursehub.jupyterhub.drive_export:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
    owner: shared_drive
    credentials_secret: drive-credentials
    folder: 0AAbCdEfGhIjKUk9PVA
    verify: true
    report: export.json

- name: Export a class into the students' own Drives, as they are now
  coursehub.jupyterhub.drive_export:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    roster: class.csv
    owner: delegation
    credentials_secret: drive-credentials
    subject: "{email}"
    snapshot: fresh
    snapshot_class: coursehub-snapshot
"""

RETURN = r"""
total:
  description: How many students were chosen who have a disk and whose account is known.
  type: int
  returned: success
  sample: 1032
exported:
  description: Of how many something was sent, or may be in check mode.
  type: int
  returned: success
  sample: 214
verified:
  description: Whose exports were proven, or would be.
  type: int
  returned: success
  sample: 214
unchanged:
  description: Of how many Drive had all already.
  type: int
  returned: success
  sample: 816
uploaded_files:
  description: Files sent.
  type: int
  returned: success
  sample: 5120
uploaded_bytes:
  description: Bytes sent.
  type: int
  returned: success
  sample: 734003200
calls:
  description: Calls of Drive. Those of a pod that was killed are not among them.
  type: int
  returned: success
  sample: 8012
failures:
  description: The students who failed, why, and when that may go on where Drive takes no more today.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    failed:
      description: Why, and what to do.
      type: str
    until:
      description: When it may go on, empty where that is not known.
      type: str
  sample: []
problems:
  description: Of the first 20 students with files that could not be exported, how many and one of them. O(report) has
    more.
  type: list
  elements: dict
  returned: success
  sample: []
students_with_problems:
  description: How many students have files that could not be exported.
  type: int
  returned: success
  sample: 0
items_left:
  description: How many more items the shared drive takes; none where there is no shared drive or nothing was done.
  type: int
  returned: success
  sample: 421337
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
without_consent:
  description: The students who have not consented, with V(consent). One who is named is refused instead.
  type: list
  elements: str
  returned: success
  sample: []
report:
  description: The file with each student's result, empty where none was asked for.
  type: str
  returned: success
  sample: export.json
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _disk_module,
    _export_run,
    _exporter,
    _exports,
    _lock,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            **_accounts.ARGUMENTS,
            **_exporter.ARGUMENTS,
            "snapshot": {"type": "str", "default": "latest"},
            "snapshot_class": {"type": "str"},
            "verify": {"type": "bool", "default": False},
            "look": {"type": "bool", "default": False},
            "checksum": {"type": "bool", "default": False},
            "prune": {"type": "bool", "default": False},
            "bundle": {"type": "str", "choices": ["auto", "never", "always"], "default": "auto"},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "writes_per_second": {"type": "float", "default": 2},
            "bytes_per_day": {"type": "float", "default": 805306368000},
            "report": {"type": "path"},
            "image": {"type": "str"},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    _disk_module.run(
        module,
        lambda course: _export_run.Run(course, module.params, module.check_mode),
        _lock.DRIVE_NAME,
        _exports.failure,
        pick=True,
    )


if __name__ == "__main__":
    main()
