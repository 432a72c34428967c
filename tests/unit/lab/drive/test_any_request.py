"""Whatever Google's description allows is answered as it says, or refused with a reason; nothing else is raised."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from drive_emulator.errors import DriveError
from drive_emulator.methods import METHODS
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.lab.drive.services import ADA, BEN, DISCOVERY, FOLDER, Drive

texts = st.text(alphabet="ab é/'\\\U0001f389", max_size=8)
times = st.sampled_from(["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59.999Z"])
# Places in a small tree; what stands for them is known when it is there.
places = st.sampled_from(["<file>", "<folder>", "<inner>", "<drive>", "<shared>", "<bens>", "root", "unknown", "<id>"])
values: dict[str, st.SearchStrategy[Any]] = {
    "fileId": places,
    "driveId": places,
    "addParents": places,
    "removeParents": places | st.just("<folder>,<inner>"),
    "permissionId": st.sampled_from(["<permission>", "anyoneWithLink", "unknown"]),
    "pageToken": st.sampled_from(["", "0", "1", "5", "-1", "9" * 30, "x"]),
    "fields": st.sampled_from(["*", "id", "kind", "files", "files/*", "nextPageToken", "user", "id,id", "a(", ""]),
    "q": st.sampled_from(
        ["", "'<folder>' in parents", "trashed = true", "name contains 'a'", "x", "not 'me' in owners"]
    ),
    "orderBy": st.sampled_from(["name", "folder,name_natural desc", "recency", "x"]),
    "corpora": st.sampled_from(["user", "drive", "allDrives", "domain", "x"]),
    "spaces": st.sampled_from(["drive", "appDataFolder"]),
    "alt": st.just("json"),
}


def some(given: dict[str, st.SearchStrategy[Any]], *always: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return dictionaries with those that are always there and up to three others: with more, one is always wrong."""
    others = sorted(set(given) - set(always))
    names = st.lists(st.sampled_from(others), max_size=3, unique=True) if others else st.just([])
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: given[name] for name in (*always, *chosen)}))


bodies: dict[str | None, st.SearchStrategy[dict[str, Any]]] = {
    None: st.just({}),
    "File": some(
        {
            "id": places,
            "name": texts | st.none(),
            "mimeType": st.sampled_from([FOLDER, "text/plain", "application/vnd.google-apps.document", "x"]),
            "parents": st.lists(places, max_size=2),
            "description": texts | st.none(),
            "starred": st.booleans(),
            "trashed": st.booleans(),
            "modifiedTime": times,
            "createdTime": times,
            "properties": st.dictionaries(texts, texts | st.none(), max_size=2) | st.none(),
            "appProperties": st.dictionaries(texts, texts | st.none(), max_size=2),
            "writersCanShare": st.booleans(),
        },
    ),
    "Drive": some({"name": texts, "hidden": st.booleans()}),
    "Permission": some(
        {
            "type": st.sampled_from(["user", "group", "domain", "anyone", "x"]),
            "role": st.sampled_from(["owner", "organizer", "fileOrganizer", "writer", "reader", "x"]),
            "emailAddress": st.sampled_from([ADA, BEN, "nobody@example.org", ""]),
            "domain": st.just("example.org"),
        },
        "role",
    ),
}
BY_ID = {method.id: method for method in DISCOVERY.methods}


def parameters(method: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return parameters of the types that the description has, the wanted ones always."""
    rules = BY_ID[method].parameters | {"fields": {"type": "string"}}
    kinds = {"boolean": st.booleans(), "integer": st.integers(1, 3), "string": texts}
    given = {name: values.get(name, kinds[rule["type"]]) for name, rule in rules.items() if not rule.get("deprecated")}
    wanted = [name for name in given if rules[name].get("required") or name == "supportsAllDrives"]
    return some(given, *wanted)


requests = st.sampled_from(sorted(METHODS)).flatmap(
    lambda method: st.tuples(
        st.just(method.removeprefix("drive.")),
        parameters(method),
        bodies[BY_ID[method].request],
        st.sampled_from([ADA, BEN]),
    )
)


def named(value: Any, names: dict[str, str]) -> Any:
    """Return a value with what its places stand for."""
    if isinstance(value, dict):
        return {name: named(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [named(item, names) for item in value]
    if isinstance(value, str):
        for name, stands_for in names.items():
            value = value.replace(name, stands_for)
    return value


def furnished(folder: str) -> tuple[Drive, dict[str, str]]:
    drive = Drive(Path(folder))
    shared, top = drive.shared_drive(fileOrganizer=BEN), drive.folder("folder")
    body = {"type": "user", "role": "writer", "emailAddress": BEN}
    return drive, {
        "<drive>": shared,
        "<shared>": drive.folder("shared", shared),
        "<folder>": top,
        "<inner>": drive.folder("inner", top),
        "<file>": drive.file("file", top, data=b"content"),
        "<bens>": drive.file("bens", user=BEN),
        "<permission>": drive.call("permissions.create", body=body, fileId=top)["id"],
        "<id>": drive.call("files.generateIds", count=1)["ids"][0],
    }


@settings(max_examples=150)
@given(st.lists(requests, min_size=1, max_size=6))
def test_it_is_answered_or_refused(asked: list[tuple[str, dict[str, Any], dict[str, Any], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        drive, names = furnished(folder)
        for method, given_parameters, body, user in asked:
            # Nothing else may be raised. What is answered is checked against the description there.
            with contextlib.suppress(DriveError):
                drive.call(method, user, named(body, names), **named(given_parameters, names))
                event(f"{method} answered")
        # Storage and items are what a count from nothing gives.
        state = drive.service.state
        for owner in (ADA, BEN):
            assert state.used(owner) == sum(file.size for file in state.now.files.values() if file.owner == owner)
        for drive_id in state.drives:
            inside = [file for file in state.now.files.values() if file.drive_id == drive_id and not file.top]
            assert state.items(drive_id) == len(inside)
        assert all(file.top or file.parent in state.now.files for file in state.now.files.values())
        assert state.seen().files == state.now.files
