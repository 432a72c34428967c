"""Files that Drive has and does not give: those that Google flagged, and those that were downloaded too often."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest
from coursehub_tools import tree
from coursehub_tools.drive import importing, objects, verify
from coursehub_tools.drive.client import Client, RefusedError
from coursehub_tools.drive.pacer import Pacer, Rates, project_bucket
from coursehub_tools.drive.reasons import ABUSIVE, REASONS, Treatment
from coursehub_tools.drive.restoring import restore
from coursehub_tools.drive.rows import BUNDLE, FILE, FOLDER, Row
from coursehub_tools.result import FailedError, Names

MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"


def refused(reason: str) -> RefusedError:
    return RefusedError(REASONS[reason], 403, reason, "")


class Giving:
    """Drive that gives one byte of each file but of some."""

    def __init__(self, reason: str, *withheld: str) -> None:
        self._reason = reason
        self._withheld = withheld
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def content(self, file_id: str, _start: int, _end: int) -> bytes:
        with self._lock:
            self.asked.append(file_id)
        if file_id in self._withheld:
            raise refused(self._reason)
        return b"a"


def file(path: str, **more: Any) -> Row:
    return Row(path, FILE, 1, 5, 0o644, id=path, md5=MD5_OF_A, **more)


def brought(tmp_path: Path, drive: Giving, rows: list[Row]) -> dict[Row, RefusedError]:
    withheld: dict[Row, RefusedError] = {}
    with importing._Source(cast(Any, drive), rows) as source, tree.top(tmp_path) as top:
        things = importing._things(rows)
        source.expect(things)
        restore(top, things, source.content, withheld.__setitem__, threads=4)
    return withheld


@pytest.mark.parametrize("reason", [ABUSIVE, "downloadQuotaExceeded"])
def test_all_others_come_back(tmp_path: Path, reason: str) -> None:
    rows = [Row("f", FOLDER, mtime_ns=7, mode=0o700), file("f/bad"), file("f/good"), file("z")]
    withheld = brought(tmp_path, Giving(reason, "f/bad"), rows)
    assert [(row.path, error.treatment) for row, error in withheld.items()] == [("f/bad", Treatment.FILE)]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["f", "f/good", "z"]
    assert (tmp_path / "f").stat().st_mtime_ns == 7


def test_what_is_no_files_matter_stops_all(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        brought(tmp_path, Giving("domainPolicy", "a"), [file("a"), file("b")])


def test_a_bundle_that_is_not_given_is_asked_for_once(tmp_path: Path) -> None:
    members = [file(f"f/{number}", bundle="f") for number in range(9)]
    drive = Giving(ABUSIVE, "zip")
    rows = [Row("f", FOLDER, mode=0o700), Row("f", BUNDLE, 1, id="zip"), *members, file("z")]
    assert set(brought(tmp_path, drive, rows)) == set(members)
    assert sorted(drive.asked) == ["z", "zip"]
    with importing._Source(cast(Any, drive), rows) as source:
        assert source.index("f") == []
        assert list(source.refused) == ["f"]


def test_a_disk_that_has_all_that_drive_gives_is_left_as_it_is(tmp_path: Path) -> None:
    """The result of the Job that brought it may be lost."""
    rows = [file("bad"), file("good")]
    brought(tmp_path, Giving(ABUSIVE, "bad"), rows)
    error = FailedError("not empty")
    with tree.top(tmp_path) as top:
        with importing._Source(cast(Any, Giving(ABUSIVE, "bad")), rows) as source:
            assert [row.path for row in importing._withheld(top, rows, source, error)] == ["bad"]
            (tmp_path / "mine").write_text("mine", encoding="utf-8")
            with pytest.raises(FailedError, match="not empty"):
                importing._withheld(top, rows, source, error)
            (tmp_path / "mine").unlink()
        # Drive has it and gives it: then the disk lacks it for another cause.
        with (
            importing._Source(cast(Any, Giving(ABUSIVE)), rows) as source,
            pytest.raises(FailedError, match="not empty"),
        ):
            importing._withheld(top, rows, source, error)


def test_a_proof_names_it_and_goes_on() -> None:
    rows, unreadable = [file("bad"), file("good"), file("other")], Names()
    drive = Giving(ABUSIVE, "bad")
    assert [row.path for row in verify._read(cast(Any, drive), rows, unreadable, 1)] == ["bad"]
    assert unreadable.count == 0
    assert drive.asked == ["bad", "good", "other"]
    with pytest.raises(RefusedError):
        verify._read(cast(Any, Giving("domainPolicy", "bad")), rows, unreadable, 1)


class Flagging(Client):
    """A client of a Drive that has flagged one file."""

    def __init__(self) -> None:
        super().__init__(None, Pacer(Rates(), project_bucket(Rates())))
        self.uris: list[str] = []

    def download(self, request: Any, start: int, end: int) -> bytes:
        self.uris.append(str(request.uri))
        if "flagged" in request.uri and "acknowledgeAbuse=true" not in request.uri:
            raise refused(ABUSIVE)
        return b"a"


def test_abuse_is_acknowledged_where_a_person_said_so_and_drive_asked() -> None:
    client = Flagging()
    drive = objects.Drive(client, "ada", acknowledge_abuse=True)
    assert drive.content("flagged", 0, 1) + drive.content("flagged", 1, 2) + drive.content("fine", 0, 1) == b"aaa"
    assert ["acknowledgeAbuse=true" in uri for uri in client.uris] == [False, True, True, False]
    with pytest.raises(RefusedError):
        objects.Drive(client, "ada").content("flagged", 0, 1)
    assert "acknowledgeAbuse" not in client.uris[-1]
