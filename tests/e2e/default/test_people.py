"""People come in by a file, and servers start before they do."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.playbook import play


def test_a_roster_and_servers_before_class(cluster: Cluster, tmp_path: Path) -> None:
    roster = tmp_path / "class.csv"
    roster.write_text("student,role,group\nrosa,,lab1\nrolf,staff,\n", encoding="utf-8")
    said = play("coursehub.jupyterhub.roster", coursehub_hub_roster=str(roster))
    assert "2 people in the roster, 2 new at the hub, 2 put into groups" in said
    assert "changed=0" in play("coursehub.jupyterhub.roster", coursehub_hub_roster=str(roster))

    chosen = {"coursehub_hub_servers_students": ["rosa"]}
    assert "1 servers started" in play("coursehub.jupyterhub.servers", **chosen)
    assert cluster.pod_of("rosa")["status"]["phase"] == "Running"
    assert "1 servers stopped" in play("coursehub.jupyterhub.servers", **chosen, coursehub_hub_servers_state="stopped")
    pods = cluster.kube.list("v1", "Pod", STUDENTS)
    assert "rosa" not in {(pod["metadata"].get("annotations") or {}).get("hub.jupyter.org/username") for pod in pods}
