"""Fields masks show what they name."""

from __future__ import annotations

import pytest
from drive_emulator import fields
from drive_emulator.errors import DriveError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lab.drive.services import DISCOVERY

ANSWER = {"kind": "k", "files": [{"id": "1", "name": "a", "owners": [{"me": True, "kind": "u"}]}, {"id": "2"}]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kind", {"kind": "k"}),
        ("files/id", {"files": [{"id": "1"}, {"id": "2"}]}),
        ("files(id, name)", {"files": [{"id": "1", "name": "a"}, {"id": "2"}]}),
        ("files(owners/me)", {"files": [{"owners": [{"me": True}]}, {}]}),
        (
            "files(owners(kind,me),id),kind",
            ANSWER | {"files": [{"id": "1", "owners": [{"me": True, "kind": "u"}]}, {"id": "2"}]},
        ),
        ("*", ANSWER),
        ("files/*", {"files": ANSWER["files"]}),
        ("*/id", {"kind": "k", "files": [{"id": "1"}, {"id": "2"}]}),
        ("files,files/id", {"files": ANSWER["files"]}),
        ("files/id,files", {"files": ANSWER["files"]}),
        ("files/id,files/name", {"files": [{"id": "1", "name": "a"}, {"id": "2"}]}),
        ("nextPageToken", {}),
    ],
)
def test_masks(text: str, shown: dict[str, object]) -> None:
    assert fields.pick(ANSWER, fields.parse(text)) == shown


@pytest.mark.parametrize(
    "text", ["", ",", "files(", "files()", "files(id))", "a b", "a,,b", "a/", "/a", "a;b", "(" * 500]
)
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(DriveError) as caught:
        fields.parse(text)
    assert (caught.value.status, caught.value.location) == (400, "fields")


@given(st.text(alphabet="ab/(),* ", max_size=30))
def test_any_text_is_a_mask_or_refused(text: str) -> None:
    try:
        mask = fields.parse(text)
    except DriveError:
        return
    assert fields.pick({}, mask) == {}


def test_a_mask_names_what_the_schema_has() -> None:
    DISCOVERY.check_mask(
        "FileList", fields.parse("files(id,capabilities/canEdit,appProperties/any,owners/me),nextPageToken")
    )
    for text in ("id", "files(title)", "files/capabilities/canFly"):
        with pytest.raises(DriveError):
            DISCOVERY.check_mask("FileList", fields.parse(text))
