# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose Google Drive exports are in, and as whom they are made."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  owner:
    description:
      - Whose the files in Drive are. V(shared_drive) is a shared drive of the course, of which a service account is
        content manager. V(delegation) is each student's own Drive, which the service account may act in for the whole
        domain. V(consent) is each student's own Drive too, by what the student has allowed.
    type: str
    choices: [shared_drive, delegation, consent]
    required: true
  credentials_secret:
    description:
      - The Secret in O(namespace) with the service account's key as C(key.json), or what stands for it with
        O(workload_identity_audience). Needed but with V(consent), where each student has a Secret of their own,
        V(drive-consent-alice), labelled C(coursehub.jupyterhub/drive-consent).
    type: str
  folder:
    description: The shared drive's id, or that of a folder. Needed with V(shared_drive). Without it exports are at the
      top of the students' own Drives.
    type: str
    default: ""
  subject:
    description: How a student's account is called, made of C({student}) and columns of the roster, as in
      V({student}@uni.example) or V({email}). Needed with V(delegation).
    type: str
  name:
    description:
      - How a student's folder in Drive is called, made as O(subject) is. No two students may have the same.
      - An export is found by this at an import, and where the exporter's state is lost. So several courses, or
        semesters, that use one app want names of their own, as V(Algebra 2026 {student}).
      - A folder that there is already keeps its name when this becomes another one, and may be renamed in Drive. To
        import it, give the name that it has there.
    type: str
    default: "{student}"
  workload_identity_audience:
    description:
      - Whom a token of the cluster is for that the Jobs' pods have in the place of a key, which is an audience that the
        provider of a pool for workload identity federation takes, as
        V(https://iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/course/providers/cluster).
      - Then C(key.json) in O(credentials_secret) is a credential configuration with a service account, as
        C(gcloud iam workload-identity-pools create-cred-config) writes it for the file
        C(/var/run/service-account/token). The token is that of the ServiceAccount V(drive-exporter) in O(namespace),
        which the role makes. Not with V(consent).
    type: str
    default: ""
  project_units_per_minute:
    description: What Drive lets the whole Google Cloud project ask for.
    type: float
    default: 1000000
  identity_units_per_minute:
    description: What Drive lets one account ask for.
    type: float
    default: 325000
  api_address:
    description: Where Drive is, for tests. Empty is Google's.
    type: str
    default: ""
"""

    JOBS = r"""
options:
  students_per_job:
    description: Students in one Job. Each has a disk attached meanwhile, and a node takes so many. Those who each have
      an account of their own are side by side, at most eight.
    type: int
    default: 5
  concurrency:
    description: Jobs at once. They share what Drive lets a project, and an identity, ask for. In an export those that
      are left at the end go faster, a minute or so after others have ended.
    type: int
    default: 4
  priority_class:
    description: The PriorityClass of the Jobs' pods.
    type: str
    default: ""
  wait_timeout:
    description: Seconds for all of it. What is not done then goes on with the next run.
    type: int
    default: 14400
"""
