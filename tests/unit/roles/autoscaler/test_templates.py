"""What the role autoscaler makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.test import core as tests_of_ansible
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _resizing, _samples, _spend, _warm

from tests.unit.paths import ROOT

ROLE = ROOT / "roles/autoscaler"
MACHINE = {"type": "small", "cpu": "1900m", "memory": "13Gi", "disks": 127}


def objects(template: str, **variables: Any) -> dict[tuple[str, str], dict[str, Any]]:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    values = {
        **defaults,
        "_autoscaler_checked": {"unpacked_memory": 0},
        "_autoscaler_most": 18,
        "_autoscaler_pool": "coursehub-students",
        "_autoscaler_cores": "1.9",
        "coursehub_name": "coursehub",
        "coursehub_namespace": "coursehub",
        "coursehub_students_namespace": "students",
        "coursehub_autoscaler_machine": MACHINE,
        "coursehub_autoscaler_prices": {"small": 0.5},
        "coursehub_autoscaler_image": "tools:1",
        "coursehub_hub_singleuser_image": "",
        **variables,
    }

    def lookup(plugin: str, what: str) -> Any:
        return values[what] if plugin == "ansible.builtin.vars" else Path(what).read_text(encoding="utf-8")

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)
    # But default: Ansible's knows the undefined of Ansible's own templates alone.
    environment.filters |= {**FilterModule().filters(), "default": environment.filters["default"]}
    environment.tests.update(tests_of_ansible.TestModule().tests())
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    is_file = environment.compile_expression(variables["_autoscaler_calendar_is_file"].strip("{} "))
    values["_autoscaler_calendar_is_file"] = is_file(**values)
    text = (ROLE / f"templates/{template}.yaml.j2").read_text(encoding="utf-8")
    rendered = environment.from_string(text).render(**values, lookup=lookup)
    found = [one for one in yaml.safe_load_all(rendered) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def test_karpenters_pool_goes_from_nothing_to_the_limit_and_moves_nobody() -> None:
    node_class = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    found = objects(
        "pool",
        coursehub_autoscaler_engine="karpenter",
        coursehub_autoscaler_node_class=node_class,
        coursehub_autoscaler_zones=["a", "b"],
    )
    spec = found[("NodePool", "coursehub-students")]["spec"]
    # Of whole cores: that is what Karpenter takes off while it orders.
    assert spec["limits"] == {"nodes": 18, "cpu": 36}
    # Else each run of seats would set others.
    assert spec["limits"] == _spend.pool_limits(18, MACHINE["cpu"])
    # Of a day whose money is spent, as many as there are.
    shut = objects(
        "pool",
        coursehub_autoscaler_engine="karpenter",
        coursehub_autoscaler_node_class={},
        _autoscaler_now={"nodes": 3},
    )
    assert shut["NodePool", "coursehub-students"]["spec"]["limits"] == _spend.pool_limits(3, MACHINE["cpu"])
    assert spec["disruption"]["consolidationPolicy"] == "WhenEmpty"
    template = spec["template"]
    assert template["metadata"]["labels"] == _warm.POOL
    assert [{**one, "operator": "Equal"} for one in template["spec"]["taints"]] == [_warm.TOLERATION]
    assert template["spec"]["nodeClassRef"] == node_class
    wanted = {one["key"]: one["values"] for one in template["spec"]["requirements"]}
    assert wanted["topology.kubernetes.io/zone"] == ["a", "b"]
    # A spot machine ends within two minutes, whoever computes there.
    assert wanted["karpenter.sh/capacity-type"] == ["on-demand"]
    assert not any(kind == "KWOKNodeClass" for kind, _name in found)


@pytest.mark.parametrize(("cpu", "cores"), [("1930m", "1.93"), ("4", "4.0"), (3.92, "3.92")])
def test_the_cores_of_a_machine(cpu: Any, cores: str) -> None:
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    text = jinja2.Template(variables["_autoscaler_cpu"]).render(coursehub_autoscaler_machine={"cpu": cpu})
    assert jinja2.Template(variables["_autoscaler_cores"]).render(_autoscaler_cpu=text).strip() == cores


def test_seats_are_as_large_as_the_servers_that_the_hub_makes() -> None:
    seats, hub = (
        yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text(encoding="utf-8"))
        for role in ("autoscaler", "hub")
    )
    for word in ("memory", "cpu"):
        assert seats[f"coursehub_autoscaler_server_{word}"] == hub[f"coursehub_hub_server_{word}"]


def test_the_lab_has_a_node_class_of_its_own() -> None:
    found = objects("pool", coursehub_autoscaler_engine="kwok")
    assert found[("KWOKNodeClass", "coursehub-students")]["spec"] == {"nodeRegistrationDelay": "60s"}
    reference = found[("NodePool", "coursehub-students")]["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "coursehub-students"}


def test_google_has_no_pool_in_the_cluster_but_the_priority_of_placeholders() -> None:
    found = objects("pool", coursehub_autoscaler_engine="gke")
    assert list(found) == [("PriorityClass", _warm.PRIORITY_CLASS)]
    assert found["PriorityClass", _warm.PRIORITY_CLASS]["value"] < 0


def test_a_second_scheduler_only_where_there_is_an_image() -> None:
    assert not objects("scheduler")
    found = objects("scheduler", coursehub_autoscaler_scheduler_image="kube-scheduler:v1.36.3")
    configuration = yaml.safe_load(found["ConfigMap", "packing"]["data"]["configuration.json"])
    (profile,) = configuration["profiles"]
    assert profile["pluginConfig"][0]["args"]["scoringStrategy"]["type"] == "MostAllocated"
    spec = found["Deployment", "packing"]["spec"]
    assert spec["replicas"] == 2
    # On two nodes, and a drain leaves one: without any no server starts.
    (apart,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert apart["podAffinityTerm"]["labelSelector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    budget = found["PodDisruptionBudget", "packing"]["spec"]
    assert (budget["minAvailable"], budget["selector"]) == (1, spec["selector"])
    bound = {one["roleRef"]["name"] for (kind, _name), one in found.items() if kind == "ClusterRoleBinding"}
    assert bound == {"system:kube-scheduler", "system:volume-scheduler"}


def test_a_part_of_each_node_is_kept_free_by_a_pod_that_nobody_moves() -> None:
    assert not objects("unpacked")
    found = objects("unpacked", _autoscaler_checked={"unpacked_memory": 1363148800})
    ((_kind, item),) = found.items()
    assert _warm.keeps_room(item)
    # A new one finds the old one's place taken by students.
    assert item["spec"]["updateStrategy"] == {"type": "OnDelete"}
    spec = item["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == _warm.POOL
    # On the node before it takes students, and of their priority, so that neither moves the other.
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert "priorityClassName" not in spec
    (container,) = spec["containers"]
    # No core: seats take all of a node.
    assert container["resources"] == {"requests": {"memory": "1363148800"}}
    assert container["image"] == "tools:1"
    known = {"_autoscaler_checked": {"unpacked_memory": 1}, "coursehub_hub_singleuser_image": "course:2"}
    (item,) = objects("unpacked", **known).values()
    assert item["spec"]["template"]["spec"]["containers"][0]["image"] == "course:2"


def test_the_schedule_runs_the_playbook_with_all_that_its_tasks_read() -> None:
    found = objects("seats", coursehub_autoscaler_calendar="https://calendar.example.org/a.ics")
    inventory = yaml.safe_load(found["Secret", "seats"]["stringData"]["inventory.json"])
    given = set(inventory["all"]["hosts"]["localhost"])
    tasks = "".join((ROLE / f"tasks/{name}.yml").read_text(encoding="utf-8") for name in ("seats", "resize"))
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    tasks += variables["_autoscaler_scheduler"]
    read = set(re.findall(r"\bcoursehub_autoscaler_\w+", tasks))
    assert {"coursehub_autoscaler_scheduler_image", "coursehub_autoscaler_engine"} <= read
    assert read <= given
    container = found["CronJob", "seats"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-1] == "coursehub.jupyterhub.seats"
    assert (ROOT / "playbooks/seats.yml").exists()


def test_a_calendar_of_the_controllers_goes_along(tmp_path: Path) -> None:
    path = tmp_path / "course.ics"
    path.write_text("BEGIN:VCALENDAR\nEND:VCALENDAR", encoding="utf-8")
    secret = objects("seats", coursehub_autoscaler_calendar=str(path))["Secret", "seats"]["stringData"]
    assert secret["calendar.ics"].startswith("BEGIN:VCALENDAR")
    host = yaml.safe_load(secret["inventory.json"])["all"]["hosts"]["localhost"]
    assert host["coursehub_autoscaler_calendar"] == "/etc/coursehub/calendar.ics"
    for no_file in ("", "https://calendar.example.org/a.ics", "webcal://calendar.example.org/a.ics"):
        none = objects("seats", coursehub_autoscaler_calendar=no_file)["Secret", "seats"]["stringData"]
        assert "calendar.ics" not in none


def test_servers_are_resized_by_a_schedule_and_an_account_of_its_own() -> None:
    assert ("CronJob", "resize") not in objects("seats")
    found = objects("seats", coursehub_autoscaler_resize=True)
    for name in ("seats", "resize"):
        pod = found["CronJob", name]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == name
        assert pod["containers"][0]["args"][-1] == f"coursehub.jupyterhub.{name}"
        assert (ROOT / f"playbooks/{name}.yml").exists()
        assert found["RoleBinding", name]["subjects"][0]["name"] == name
    assert found["ClusterRoleBinding", "coursehub-seats"]["subjects"][0]["name"] == "seats"
    # Of students' servers alone, and nothing in the cluster at large.
    assert ("ClusterRole", "coursehub-resize") not in found
    assert ("ClusterRoleBinding", "coursehub-resize") not in found
    assert "metrics.k8s.io" in str(found["Role", "resize"]["rules"])


def test_only_where_kubelets_are_asked_may_an_account_ask_them() -> None:
    found = objects("seats", coursehub_autoscaler_resize=True, coursehub_autoscaler_resize_source="kubelet")
    assert found["ClusterRoleBinding", "coursehub-resize"]["subjects"][0]["name"] == "resize"
    # By way of the API server, who may get nodes/proxy may run commands in any container.
    reach = {name: str(found["ClusterRole", f"coursehub-{name}"]["rules"]) for name in ("seats", "resize")}
    assert ["nodes/proxy" in rules for rules in reach.values()] == [False, True]
    assert "metrics.k8s.io" not in str(found["Role", "resize"]["rules"])


def test_the_schedule_may_touch_only_what_it_makes() -> None:
    rules = objects("seats")["Role", "seats"]["rules"]
    # What is made may not be named, and an Event changes nothing.
    *rules, making = rules
    assert (making["resources"], making["verbs"]) == (["events"], ["create"])
    assert all(rule["resourceNames"] for rule in rules)
    maps = [rule for rule in rules if rule["resources"] == ["configmaps"]]
    written = [rule["resourceNames"] for rule in maps if "patch" in rule["verbs"]]
    assert written == [[_warm.NAME, *_samples.names()]]
    assert [rule["resourceNames"] for rule in maps if rule["verbs"] == ["get"]] == [[_resizing.NAME]]
    more = objects("seats", coursehub_autoscaler_resize=True)
    assert more["Role", "seats"]["rules"] == [*rules, making]
    (writing,) = [
        rule for rule in more["Role", "resize"]["rules"] if "resourceNames" not in rule and "patch" in rule["verbs"]
    ]
    assert writing["resources"] == ["pods/resize"]
    (reading,) = objects("seats")["ClusterRole", "coursehub-seats"]["rules"]
    assert set(reading["verbs"]) == {"get", "list"}
    for engine, pools in (("gke", []), ("karpenter", ["coursehub-students"]), ("kwok", ["coursehub-students"])):
        found = objects("seats", coursehub_autoscaler_engine=engine)
        pool = found["ClusterRole", "coursehub-seats"]["rules"][1:]
        assert [name for rule in pool for name in rule["resourceNames"]] == pools
        assert all(rule["verbs"] == ["get", "patch"] for rule in pool)
        # Of a pool its limits.
        held = [found.get((f"ValidatingAdmissionPolicy{what}", "coursehub-seats")) for what in ("", "Binding")]
        assert [one is not None for one in held] == [bool(pools)] * 2
        if held[0] and held[1]:
            assert held[1]["spec"] == {"policyName": "coursehub-seats", "validationActions": ["Deny"]}
            (who,) = held[0]["spec"]["matchConditions"]
            account = found["ServiceAccount", "seats"]["metadata"]
            assert f"'system:serviceaccount:{account['namespace']}:{account['name']}'" in who["expression"]
            (one,) = held[0]["spec"]["validations"]
            assert "object.spec.all(field, field == 'limits'" in one["expression"]
