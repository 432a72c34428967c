"""Disks that grow while they are mounted, and a server that starts on a full one."""

from __future__ import annotations

import time

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module

GIB = 1 << 30
FILL = """
import os, pathlib
target = pathlib.Path.home() / 'large'
try:
    with target.open('ab') as file:
        for _ in range({mebibytes}):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    print('written')
except OSError as error:
    print('refused', error.errno)
"""


def test_a_disk_grows_under_a_running_server(home: Home, cluster: Cluster, grow: Module) -> None:
    name = home.student.name
    home.student.start()
    assert home.run(FILL.format(mebibytes=900)) == "written\n"
    # The kubelet measures disks once a minute.
    deadline = time.monotonic() + 150
    result = grow(name, limit="2Gi")
    while not result["students"] and time.monotonic() < deadline:
        result = grow(name, limit="2Gi")
    (outcome,) = result["students"]
    assert (outcome["new_size_bytes"], outcome["full"], outcome["failed"]) == (2 * GIB, False, ""), outcome
    claim = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS)
    assert claim is not None
    assert claim["status"]["capacity"]["storage"] == "2Gi"
    assert home.run(FILL.format(mebibytes=300)) == "written\n"
    home.stop()


def test_a_server_starts_on_a_full_disk_and_there_is_room_to_delete(home: Home) -> None:
    home.student.start()
    # Of an earlier run on the same cluster.
    home.run("import pathlib; (pathlib.Path.home() / 'large').unlink(missing_ok=True)")
    # As a student has used it before.
    home.student.kernel().close()
    # A file system's last block may take a few more writes.
    said = [home.run(FILL.format(mebibytes=1100)) for _again in range(2)]
    assert "refused" in said[-1], said
    home.stop()
    home.student.start()
    kernel = home.student.kernel()
    try:
        assert kernel.printed(kernel.send("print(6 * 7)"), 60) == "42\n"
    finally:
        kernel.close()
    # As the file browser does.
    home.student.ask("DELETE", "contents/large")
    home.student.ask("PUT", "contents/again.txt", {"type": "file", "format": "text", "content": "room"})
    home.stop()
