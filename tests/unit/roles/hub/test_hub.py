"""What Kubernetes is told of the hub."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml
from coursehub_hub.node_guard.plan import PORTS
from coursehub_hub.standby import health

from tests.unit.paths import ROOT

HUB = ROOT / "roles/hub"


class Defaults(jinja2.Undefined):
    """Any value that the template only hands on."""

    def __str__(self) -> str:
        return ""


def objects(database: str) -> dict[str, Any]:
    source = (HUB / "templates/hub.yaml.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, undefined=Defaults, autoescape=False)
    environment.filters["to_json"] = lambda value, **more: json.dumps(value, default=str, **more)
    environment.filters["hash"] = lambda value, name: hashlib.new(name, value.encode()).hexdigest()
    text = environment.from_string(source).render(
        coursehub_namespace="coursehub",
        coursehub_students_namespace="students",
        coursehub_database=database,
        _hub_secret=SimpleNamespace(version="1"),
    )
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.mark.parametrize("database", ["postgresql", "external"])
def test_the_hub_that_works_is_reached_whatever_its_kubelet_says(database: str) -> None:
    service = objects(database)["Service"]["spec"]
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"]["coursehub.jupyterhub/hub"] == "active"


def test_one_alone_is_reached_when_it_is_ready() -> None:
    service = objects("sqlite")["Service"]["spec"]
    assert "publishNotReadyAddresses" not in service
    assert service["selector"] == {"app.kubernetes.io/name": "hub"}


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_guard_may_ask_where_a_hub_answers(database: str) -> None:
    found = objects(database)
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    answers = {port["containerPort"] for port in container["ports"]}
    asked = set(PORTS["app.kubernetes.io/name", "hub"])
    allowed = {
        port["port"]
        for rule in found["NetworkPolicy"]["spec"]["ingress"]
        for who in rule["from"]
        if who.get("podSelector", {}).get("matchLabels") == {"app.kubernetes.io/name": "node-guard"}
        for port in rule["ports"]
    }
    assert answers <= asked
    assert asked <= allowed


def test_the_kubelet_asks_what_tells_how_the_hub_is() -> None:
    (container,) = objects("postgresql")["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == health.PATH
    assert {"name": "health", "containerPort": health.PORT} in container["ports"]
