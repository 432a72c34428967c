"""What is known of exports, without Drive."""

from __future__ import annotations

import json

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _exports
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.drive_export_info import Run

from tests.unit.plugins.api import Api
from tests.unit.plugins.modules.students import CHOICE, Students


def test_those_with_and_those_without_an_export_are_told(api: Api, kube: Kube) -> None:
    students = Students(api, kube)
    moment = "2026-11-24T10:00:00+00:00"
    record = _exports.Record("shot", moment, moment, "drive-credentials", "ann", "0A", 3, 30, 0, "shape")
    students.claim("ann")["metadata"]["annotations"] |= record.annotation()["metadata"]["annotations"]
    students.claim("bob")["metadata"]["annotations"][_disks.DRIVE_EXPORT_ANNOTATION] = json.dumps({"damaged": 1})
    asked = len(api.asked)
    told = Run(students.course, {**CHOICE, "all_students": True})()
    assert {request.method for request in api.asked[asked:]} == {"GET"}
    ann, bob = told["students"]
    assert (ann["exported"], ann["files"], ann["problems"], ann["verified_at"]) == (True, 3, 0, None)
    assert ann["age_s"] > 0
    assert (bob["exported"], bob["files"], bob["age_s"]) == (False, None, None)
    assert (told["changed"], told["never_exported"]) == (False, ["bob"])
