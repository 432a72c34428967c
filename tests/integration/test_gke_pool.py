"""What the role autoscaler asks of Google's tool: the real tasks, and a ``gcloud`` that only notes what it is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WHERE = ["--project=data-8", "--location=us-central1"]
VARIABLES: dict[str, Any] = {
    "coursehub_autoscaler_engine": "gke",
    "coursehub_autoscaler_gke": {"project": "data-8", "location": "us-central1", "cluster": "course"},
    "coursehub_autoscaler_machine": {"type": "n2-highmem-2", "cpu": "1930m", "memory": "13Gi", "disks": 127},
    "coursehub_autoscaler_zones": ["us-central1-a", "us-central1-b"],
    "coursehub_autoscaler_core_nodes": 2,
    "coursehub_autoscaler_limit_nodes": 20,
}
# As Google's API tells it, without what the role does not read; what is zero or false is not told.
CORE = {"name": "core", "initialNodeCount": 2, "autoscaling": {}}
POOL = {
    "name": "coursehub-students",
    "config": {"machineType": "n2-highmem-2"},
    "locations": ["us-central1-b", "us-central1-a"],
    "autoscaling": {"enabled": True, "totalMaxNodeCount": 18, "locationPolicy": "ANY"},
}
WELL = {"autoscaling": {"autoscalingProfile": "OPTIMIZE_UTILIZATION"}, "nodePools": [CORE, POOL]}
DESCRIBE = ["container", "clusters", "describe", "course", "--format=json", *WHERE]
PROFILE = [
    *("container", "clusters", "update", "course", "--autoscaling-profile=optimize-utilization", "--quiet"),
    *WHERE,
]
# What is scaled to, of a pool that is new and of one that is there.
SIZE = ["--enable-autoscaling", "--total-min-nodes=0", "--total-max-nodes=18", "--location-policy=ANY"]
LIMIT = ["container", "clusters", "update", "course", "--node-pool=coursehub-students", *SIZE, "--quiet", *WHERE]
CREATE = [
    *("container", "node-pools", "create", "coursehub-students", "--cluster=course", "--machine-type=n2-highmem-2"),
    *("--num-nodes=0", *SIZE),
    "--node-labels=coursehub.jupyterhub/pool=students",
    "--node-taints=coursehub.jupyterhub/pool=students:NoSchedule",
    *("--quiet", "--node-locations=us-central1-a,us-central1-b", *WHERE),
]
# Written in Python, as the collection is: what is asked is one line of JSON.
STUB = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "describe" in sys.argv:
    print((here / "cluster.json").read_text(encoding="utf-8"))
elif (here / "broken").exists():
    sys.exit("ERROR: (gcloud.container) ResponseError: code=403")
"""


@dataclass(frozen=True)
class Done:
    """A run of the tasks: how it ended, what it said, how much it changed, and what was asked of Google."""

    code: int
    said: str
    changed: int
    calls: list[list[str]]


class Google:
    """A ``gcloud`` for one test, first on the path; it has no account and no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tool = folder / "gcloud"
        tool.write_text(STUB.format(python=sys.executable), encoding="utf-8")
        tool.chmod(0o755)
        include = {"name": "coursehub.jupyterhub.autoscaler", "tasks_from": "gke"}
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": include}]}
        (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")

    def run(self, cluster: dict[str, Any], *words: str, **changed: Any) -> Done:
        (self.folder / "cluster.json").write_text(json.dumps(cluster), encoding="utf-8")
        calls = self.folder / "calls"
        calls.write_text("", encoding="utf-8")
        settings = {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"}
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,"),
                *("--extra-vars", json.dumps({**settings, **VARIABLES, **changed}), *words),
                str(self.folder / "play.yml"),
            ],
            env={
                **os.environ,
                "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        counted = re.search(r"changed=(\d+)", done.stdout)
        asked = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
        said = " ".join((done.stdout + done.stderr).split())
        return Done(done.returncode, said, int(counted[1]) if counted else -1, asked)


@pytest.fixture
def google(tmp_path: Path) -> Google:
    return Google(tmp_path)


def test_a_new_pool_is_made_from_nothing_to_the_limit(google: Google) -> None:
    done = google.run({"nodePools": [CORE]})
    assert (done.code, done.changed) == (0, 2), done.said
    assert done.calls == [DESCRIBE, PROFILE, CREATE]


def test_without_zones_google_takes_the_clusters(google: Google) -> None:
    done = google.run({**WELL, "nodePools": [CORE]}, coursehub_autoscaler_zones=[])
    assert (done.code, done.changed) == (0, 1), done.said
    assert done.calls == [DESCRIBE, [word for word in CREATE if not word.startswith("--node-locations")]]


@pytest.mark.parametrize(
    "scaled", [{"enabled": True, "totalMaxNodeCount": 8}, {"enabled": True, "maxNodeCount": 18}, {}]
)
def test_of_a_pool_that_is_there_the_limit_alone_is_changed(google: Google, scaled: dict[str, Any]) -> None:
    done = google.run({**WELL, "nodePools": [CORE, {**POOL, "autoscaling": scaled}]})
    assert (done.code, done.changed) == (0, 1), done.said
    assert done.calls == [DESCRIBE, LIMIT]


def test_where_all_is_well_nothing_is_asked_but_how_it_is(google: Google) -> None:
    done = google.run(WELL)
    assert (done.code, done.changed) == (0, 0), done.said
    assert done.calls == [DESCRIBE]


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({"nodePools": [CORE]}, [PROFILE, CREATE]),
        ({**WELL, "nodePools": [CORE, {**POOL, "autoscaling": {}}]}, [LIMIT]),
        (WELL, []),
    ],
)
def test_in_check_mode_what_would_be_asked_is_told_and_nothing_is_asked(
    google: Google, cluster: dict[str, Any], told: list[list[str]]
) -> None:
    done = google.run(cluster, "--check")
    assert (done.code, done.changed) == (0, int(bool(told))), done.said
    assert done.calls == [DESCRIBE]
    assert re.findall(r'"msg": "gcloud (.*?)"', done.said) == [" ".join(one) for one in told]


def test_what_google_refuses_ends_the_run(google: Google) -> None:
    (google.folder / "broken").touch()
    done = google.run({"nodePools": [CORE]})
    assert done.code != 0
    assert "code=403" in done.said
    assert done.calls == [DESCRIBE, PROFILE]


@pytest.mark.parametrize(
    "core",
    [
        [],
        [{**CORE, "initialNodeCount": 0}],
        [{"name": "core"}],
        [{**CORE, "autoscaling": {"enabled": True, "maxNodeCount": 5}}],
        # The students' own is none, however it is.
        [{**POOL, "initialNodeCount": 3, "autoscaling": {}}],
    ],
)
def test_a_core_pool_that_may_go_to_zero_is_refused_before_anything_is_changed(
    google: Google, core: list[dict[str, Any]]
) -> None:
    done = google.run({"nodePools": core})
    assert done.code != 0
    assert "no node pool beside coursehub-students whose size is fixed and at least 1" in done.said
    assert done.calls == [DESCRIBE]


@pytest.mark.parametrize(
    "core",
    [
        [{"name": "core", "initialNodeCount": 1}],
        [{**CORE, "autoscaling": {"enabled": False}}],
        # One that is scaled beside it harms nobody.
        [{"name": "gpu", "autoscaling": {"enabled": True, "maxNodeCount": 5}}, CORE],
    ],
)
def test_a_core_pool_that_is_fixed_is_taken(google: Google, core: list[dict[str, Any]]) -> None:
    done = google.run({**WELL, "nodePools": [*core, POOL]})
    assert (done.code, done.changed) == (0, 0), done.said
