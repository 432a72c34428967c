"""Many students whose homes were exported before, without the hours that their export would take.

Each has a folder and a list in Drive, and a state here, as an export leaves them; only the files that the list names
were never sent. Who plans by the list does not ask for them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from coursehub_tools import tree
from coursehub_tools.drive import manifest, parallel, scan, state, turn, upload
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.manifest import Header
from coursehub_tools.drive.objects import TOP, Drive
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.drive.rows import FILE, FOLDER, MANIFEST, Row
from google.oauth2.credentials import Credentials

from tests.integration.drive import DRIVE, Emulator

from .drive_runs import OURS

THREADS = 4
_MD5 = "0" * 32


def pretend(drive: Emulator, drive_id: str, homes: Path, states: Path, names: list[str]) -> None:
    """Leave what an export of each home would have left: in a shared drive, and in a folder of states."""
    client = Client(Credentials(token=drive.token(OURS, DRIVE)), Pacer(Rates(writes_per_second=1e6)), address=drive.url)

    def one(name: str) -> None:
        with state.opened(states / state.folder_name(name), name) as kept:
            _pretend(Drive(client, name, turn.of(kept.folder)), kept, drive_id, homes / name, name)

    parallel.each(one, names, THREADS)


def _pretend(drive: Drive, kept: state.State, drive_id: str, home: Path, name: str) -> None:
    top, listed = Row("", FOLDER, id=drive.new_id(2)), Row("", MANIFEST, id=drive.new_id(1))
    drive.make_folder(top, drive_id, name, TOP)
    header = Header(name, datetime.now(UTC).isoformat(timespec="seconds"), top.id, drive_id, drive_id)
    rows = [*exported(home, name), top, listed]
    path = kept.folder / "new-manifest"
    manifest.write(path, header, rows)
    with path.open("rb") as file:
        content = upload.Content(file.fileno(), replace(listed, size=path.stat().st_size), lambda: None)
        body = {**drive.body(listed), "name": manifest.NAME, "id": listed.id, "parents": [top.id]}
        upload.send(drive, kept, content, body)
    kept.finish(path, header, rows)


def exported(home: Path, name: str) -> list[Row]:
    """Return the rows of a home, each with an id that nothing has."""
    with tree.top(home) as held:
        found = scan.scan(held, None)
    return [
        replace(row, id=f"{name}-{number}", md5=_MD5 if row.kind == FILE else "")
        for number, row in enumerate(found.rows)
    ]
