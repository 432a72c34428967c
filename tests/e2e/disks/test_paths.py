"""Files of a snapshot beside what is there, while the student works."""

from __future__ import annotations

from tests.e2e.cluster import Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.disks.pods import nothing_left_over

WRITE = """
import os, pathlib
home = pathlib.Path.home()
(home / 'week3').mkdir(exist_ok=True)
(home / 'week3/work.ipynb').write_text('first')
(home / 'week3/run.sh').write_text('#!/bin/sh')
os.chmod(home / 'week3/run.sh', 0o750)
(home / 'outward').unlink(missing_ok=True)
(home / 'outward').symlink_to('/etc')
"""
LOOK = """
import pathlib
for path in sorted(pathlib.Path.home().glob('restored-*/**/*')):
    if path.is_file():
        print(oct(path.stat().st_mode & 0o777), path.stat().st_uid, path.name, path.read_text())
print('live', (pathlib.Path.home() / 'week3/work.ipynb').read_text())
"""


def test_paths(home: Home, cluster: Cluster, snapshot: Module, restore: Module) -> None:
    name = home.student.name
    home.student.start()
    home.run(WRITE)
    taken = snapshot(name)["students"][0]["snapshot"]
    home.run("import pathlib; (pathlib.Path.home() / 'week3/work.ipynb').write_text('second')")
    server = cluster.pod_of(name)["metadata"]["uid"]
    (outcome,) = restore(name, snapshot="latest", paths=["week3"])["students"]
    assert (outcome["snapshot"], outcome["failed"], outcome["changed"]) == (taken, "", True)
    found = home.run(LOOK)
    assert found.splitlines() == ["0o750 1000 run.sh #!/bin/sh", "0o644 1000 work.ipynb first", "live second"], found
    # The student has it where it is looked for, and the server was not touched.
    assert home.student.ask("GET", f"contents/{outcome['folder']}/week3/work.ipynb?content=0")["type"] == "notebook"
    assert cluster.pod_of(name)["metadata"]["uid"] == server
    assert not restore(name, snapshot="latest", paths=["week3"])["changed"]
    nothing_left_over(cluster)

    # Bad input: one sentence, and nothing is written.
    for path, sentence in (("week4", "week4"), ("outward/passwd", "outward/passwd")):
        refused = restore(name, snapshot="latest", paths=[path])
        assert sentence in refused["msg"], refused["msg"]
        assert name in refused["msg"]
    assert "which leaves the home" in restore(name, snapshot="latest", paths=["../x"])["msg"]
    assert home.run(LOOK) == found
    nothing_left_over(cluster)
    home.stop()


def test_a_server_is_stopped_when_that_is_wanted(
    home: Home, url: str, cluster: Cluster, snapshot: Module, restore: Module
) -> None:
    name = home.student.name
    home.write(work="first")
    snapshot(name)
    home.student.start()
    home.student.ask("PUT", "contents/work.txt", {"type": "file", "format": "text", "content": "second"})
    result = restore(name, snapshot="latest", stop_servers=True, hub_url=url, hub_namespace="coursehub")
    (outcome,) = result["students"]
    assert (outcome["stopped"], outcome["failed"]) == (True, "")
    assert home.read() == {"work": "first"}
