"""Requests that Google's description does not allow are refused."""

from __future__ import annotations

from typing import Any

import pytest
from drive_emulator.errors import DriveError
from drive_emulator.methods import METHODS

from tests.unit.lab.drive.services import DISCOVERY

FILES = "/drive/v3/files"


@pytest.mark.parametrize(
    ("http_method", "path", "method"),
    [
        ("GET", FILES, "drive.files.list"),
        ("POST", FILES, "drive.files.create"),
        ("POST", "/upload" + FILES, "drive.files.create"),
        ("PATCH", "/upload" + FILES + "/x", "drive.files.update"),
        ("GET", FILES + "/generateIds", "drive.files.generateIds"),
        ("DELETE", FILES + "/trash", "drive.files.emptyTrash"),
        ("DELETE", FILES + "/x", "drive.files.delete"),
        ("POST", FILES + "/x/copy", "drive.files.copy"),
        ("DELETE", FILES + "/x/permissions/y", "drive.permissions.delete"),
    ],
)
def test_paths_are_methods(http_method: str, path: str, method: str) -> None:
    assert DISCOVERY.call(http_method, path, []).method.id == method


@pytest.mark.parametrize(
    ("http_method", "path", "status"),
    [
        ("GET", "/drive/v3/filez", 404),
        ("GET", "/drive/v2/files", 404),
        ("GET", FILES + "/x/y", 404),
        ("PUT", FILES + "/x", 405),
        ("GET", "/upload" + FILES, 405),
        ("POST", "/upload" + FILES + "/x/copy", 405),
    ],
)
def test_other_paths_are_refused(http_method: str, path: str, status: int) -> None:
    with pytest.raises(DriveError) as caught:
        DISCOVERY.call(http_method, path, [])
    assert caught.value.status == status


def test_parameters_have_types_and_defaults() -> None:
    call = DISCOVERY.call("GET", FILES, [("pageSize", "7"), ("supportsAllDrives", "true"), ("q", "a b")])
    wanted = {"pageSize": 7, "supportsAllDrives": True, "q": "a b", "includeItemsFromAllDrives": False, "alt": "json"}
    assert wanted.items() <= call.parameters.items()
    assert DISCOVERY.call("GET", FILES + "/a%2Fb%20c", []).parameters["fileId"] == "a/b c"


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "7"},
        {"pageSize": "x"},
        {"pageSize": "0"},
        {"pageSize": "1001"},
        {"pageSize": "9" * 5000},
        {"supportsAllDrives": "True"},
        {"supportsAllDrives": "1"},
        {"alt": "xml"},
        {"supportsTeamDrives": "true"},
    ],
)
def test_wrong_parameters_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(DriveError) as caught:
        DISCOVERY.call("GET", FILES, query.items())
    assert caught.value.status == 400
    assert caught.value.location == next(iter(query))


def test_a_parameter_twice_is_refused() -> None:
    with pytest.raises(DriveError, match="twice"):
        DISCOVERY.call("GET", FILES, [("q", "a"), ("q", "b")])


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(DriveError, match="pageToken"):
        DISCOVERY.call("GET", "/drive/v3/changes", [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"title": "a"}, 400),
        ({"name": 1}, 400),
        ({"name": ["a"]}, 400),
        ({"parents": "root"}, 400),
        ({"parents": [1]}, 400),
        ({"starred": "true"}, 400),
        ({"modifiedTime": "yesterday"}, 400),
        ({"appProperties": {"a": 1}}, 400),
        ({"appProperties": ["a"]}, 400),
        ({"contentHints": {"text": "a"}}, 400),
        ({"size": "1"}, 403),
        ({"md5Checksum": "a"}, 403),
        ({"driveId": "a"}, 403),
    ],
)
def test_wrong_bodies_are_refused(body: dict[str, Any], status: int) -> None:
    with pytest.raises(DriveError) as caught:
        DISCOVERY.check_body("File", body)
    assert caught.value.status == status


def test_right_bodies_are_taken() -> None:
    DISCOVERY.check_body(
        "File",
        {
            "name": "a",
            "parents": ["x"],
            "appProperties": {"a": "b", "gone": None},
            "modifiedTime": "2020-01-01T00:00:00Z",
        },
    )
    DISCOVERY.check_body("Permission", {"type": "user", "role": "reader", "emailAddress": "ada@example.org"})
    DISCOVERY.check_body(None, {})


@pytest.mark.parametrize(
    "answer", [{"title": "a"}, {"size": 1}, {"owners": {}}, {"name": None}, {"capabilities": {"canFly": True}}]
)
def test_answers_that_are_not_of_the_schema_are_seen(answer: dict[str, Any]) -> None:
    assert len(DISCOVERY.check_response("File", answer)) == 1


def test_every_method_that_is_there_is_googles() -> None:
    assert set(METHODS) <= {method.id for method in DISCOVERY.methods}
