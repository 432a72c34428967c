"""What brings the students' image to the nodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jinja2
import yaml
from coursehub_hub import server

from tests.unit.paths import ROOT

HUB = ROOT / "roles/hub"


def objects(pool: str = "") -> dict[str, Any]:
    source = (HUB / "templates/puller.yaml.j2").read_text(encoding="utf-8")
    # As Ansible renders templates.
    template = jinja2.Template(source, trim_blocks=True, undefined=jinja2.StrictUndefined)
    text = template.render(
        coursehub_namespace="coursehub", coursehub_hub_singleuser_image="course:2", coursehub_hub_server_pool=pool
    )
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_it_is_the_image_of_the_students_on_all_nodes_at_once() -> None:
    daemon = objects()["DaemonSet"]
    pod = daemon["spec"]["template"]["spec"]
    assert [one["image"] for one in pod["containers"]] == ["course:2"]
    # Where the nodes were given the image, as in a lab without a registry, nobody is asked for it.
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert daemon["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == "100%"


def test_it_goes_where_the_students_go() -> None:
    kube = SimpleNamespace()
    server._place(kube, {"pool": "students", "scheduler": ""})
    pod = objects("students")["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == kube.node_selector
    assert pod["tolerations"] == kube.tolerations
    anywhere = objects()["DaemonSet"]["spec"]["template"]["spec"]
    assert anywhere.keys().isdisjoint({"nodeSelector", "tolerations"})


def test_it_is_what_restricted_pod_security_takes_and_reaches_nothing() -> None:
    found = objects()
    pod = found["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == server.UID
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    policy = found["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == found["DaemonSet"]["spec"]["selector"]
    assert (policy["policyTypes"], policy.keys() & {"ingress", "egress"}) == (["Ingress", "Egress"], set())


def test_the_image_is_tried_then_pulled_then_used() -> None:
    tasks = yaml.safe_load((HUB / "tasks/present.yml").read_text(encoding="utf-8"))
    names = [task["name"] for task in tasks]
    steps = ["Try the students' image", "Bring the students' image to the nodes before the students", "Apply the hub"]
    assert [name for name in names if name in steps] == steps


def test_an_upgrade_that_fails_takes_it_back() -> None:
    play = (ROOT / "playbooks/upgrade.yml").read_text(encoding="utf-8")
    assert "loop: [proxy, hub, puller]" in play
