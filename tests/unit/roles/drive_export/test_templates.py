"""What the role drive_export makes."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _disk_module,
    _exporter,
    _lock,
    _slots,
)
from ansible_collections.coursehub.jupyterhub.plugins.modules import drive_export, drive_import

from tests.unit.paths import ROOT

ROLE = ROOT / "roles/drive_export"


def objects(template: str, **variables: Any) -> dict[tuple[str, str], dict[str, Any]]:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    values = {
        **defaults,
        "coursehub_namespace": "coursehub",
        "coursehub_students_namespace": "students",
        "coursehub_drive_export_owner": "shared_drive",
        "coursehub_drive_export_image": "tools:1",
        **variables,
    }

    def lookup(_plugin: str, path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)
    environment.filters.update(FilterModule().filters())
    text = (ROLE / f"templates/{template}.yaml.j2").read_text(encoding="utf-8")
    rendered = environment.from_string(text).render(**values, lookup=lookup)
    found = [one for one in yaml.safe_load_all(rendered) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


VARIABLE = "coursehub_drive_export_"


def call(entry: str) -> dict[str, str]:
    """Return what an entry point gives to its module, as templates."""
    tasks = yaml.safe_load((ROLE / f"tasks/{entry}.yml").read_text(encoding="utf-8"))
    name = f"coursehub.jupyterhub.drive_{entry}"
    (given,) = (task[name] for task in tasks if name in task)
    return {key: str(value) for key, value in given.items()}


def variables(given: dict[str, str]) -> set[str]:
    """Return the role's variables in templates."""
    return {name for value in given.values() for name in re.findall(rf"{VARIABLE}\w+", value)}


def arguments(module: ModuleType) -> set[str]:
    """Return the arguments that a module takes."""
    options: set[str] = set(yaml.safe_load(module.DOCUMENTATION)["options"])
    shared = (_accounts.ARGUMENTS, _exporter.ARGUMENTS, _disk_module.ARGUMENTS, _lock.ARGUMENTS, {"image": {}})
    return options.union(*shared)


def validations(policy: str, **variables: Any) -> str:
    found = objects("rights", **variables)
    name = f"coursehub-drive-export-{policy}"
    assert found[("ValidatingAdmissionPolicyBinding", name)]["spec"]["policyName"] == name
    spec = found[("ValidatingAdmissionPolicy", name)]["spec"]
    return "\n".join(one["expression"] for one in spec["validations"])


def test_jobs_of_exports_have_their_own_credentials_alone() -> None:
    shared = validations("jobs")
    assert "source.secret.name == 'drive-credentials'" in shared
    assert _accounts.CONSENT_PREFIX not in shared
    consent = validations("jobs", coursehub_drive_export_owner="consent")
    assert f"source.secret.name.startsWith('{_accounts.CONSENT_PREFIX}')" in consent
    for what in ("!has(object.spec.template.spec.serviceAccountName)", "!has(one.envFrom)", "!has(variable.valueFrom)"):
        assert what in shared


def test_exports_let_their_own_volumes_go_alone() -> None:
    expression = validations("volumes")
    assert f"oldObject.spec.claimRef.name.startsWith('{_exporter.CLONES}')" in expression
    assert f"oldObject.spec.claimRef.name.startsWith('{_slots.STATE_PREFIX}')" in expression
    assert "claimRef.namespace == 'students'" in expression


def test_the_schedule_has_the_roster(tmp_path: Path) -> None:
    found = objects("schedule")[("ConfigMap", "drive-export")]["data"]
    assert "roster.csv" not in found
    roster = tmp_path / "class.csv"
    roster.write_text("student,email\nann,a@uni.example\n", encoding="utf-8")
    found = objects("schedule", coursehub_drive_export_roster=str(roster))[("ConfigMap", "drive-export")]["data"]
    assert found["roster.csv"] == roster.read_text(encoding="utf-8")
    told = json.loads(found["inventory.json"])["all"]["hosts"]["localhost"]
    assert told["coursehub_drive_export_roster"] == "/etc/coursehub/roster.csv"


# What the role gives by itself, or has no use for: students are all, a roster's or some of them.
OWN = {"kubeconfig", "context", "namespace", "priority_class", "all_students", "pattern", "selector"}
OWN |= {"lock_timeout", "progress_file", "progress_phase"}


@pytest.mark.parametrize(("entry", "module"), [("export", drive_export), ("import", drive_import)])
def test_what_a_module_takes_can_be_set_by_a_variable(entry: str, module: ModuleType) -> None:
    """Drive's figures are other ones in older projects."""
    given = call(entry)
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert set(specs["argument_specs"]["main"]["options"]) == set(defaults)
    assert arguments(module) - OWN <= {name for name, value in given.items() if VARIABLE in value}
    assert variables(given) <= set(defaults)


def test_the_schedule_exports_as_a_person_does() -> None:
    found = objects("schedule")[("ConfigMap", "drive-export")]["data"]["inventory.json"]
    told = json.loads(found)["all"]["hosts"]["localhost"]
    # A report would be a file in a pod that goes.
    assert variables(call("export")) - {"coursehub_drive_export_report"} <= set(told)


@pytest.mark.parametrize(
    ("schedule", "made"),
    [("0 3 * * *", ["rights.yaml.j2", "jobs.yaml.j2", "schedule.yaml.j2"]), ("", ["rights.yaml.j2", "jobs.yaml.j2"])],
)
def test_without_a_schedule_all_but_the_cronjob_is_made(schedule: str, made: list[str]) -> None:
    tasks = yaml.safe_load((ROLE / "tasks/present.yml").read_text(encoding="utf-8"))
    (parts,) = (task["vars"]["_drive_export_manifests"] for task in tasks if "vars" in task)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    variables = {"lookup": lambda _plugin, name: name, "coursehub_drive_export_schedule": schedule}
    rendered = [environment.from_string(part).render(**variables) for part in parts]
    assert [name for name in rendered if name] == made


def test_the_quota_is_the_one_that_the_modules_look_at() -> None:
    found = objects("jobs", coursehub_drive_export_concurrency=7)
    assert found[("ResourceQuota", _exporter.QUOTA)]["spec"]["hard"]["pods"] == "8"
    (rights,) = (
        rule for rule in objects("rights")[("Role", "drive-export")]["rules"] if rule["resources"] == ["resourcequotas"]
    )
    assert rights["resourceNames"] == [_exporter.QUOTA]


def test_no_network_leads_to_the_metadata_address() -> None:
    metadata = ipaddress.ip_network("169.254.0.0/16")
    networks = [str(metadata.supernet(new_prefix=bits)) for bits in range(16)] + ["142.250.0.0/15"]
    policy = objects("jobs", coursehub_drive_export_networks=networks)[("NetworkPolicy", "drive-export")]
    blocks = [one["to"][0]["ipBlock"] for one in policy["spec"]["egress"][1:]]
    assert [block.get("except", []) for block in blocks] == [[str(metadata)]] * 16 + [[]]


def test_the_schedule_tells_its_jobs_their_pace_and_writes_no_other_configmap() -> None:
    rules = [one for one in objects("rights")[("Role", "drive-export")]["rules"] if "configmaps" in one["resources"]]
    assert all(one.get("resourceNames") for one in rules)
    written = [one["resourceNames"] for one in rules if set(one["verbs"]) - {"get"}]
    assert written == [[_exporter.PACE]]
    assert f"has(one.configMap) && one.configMap.name == '{_exporter.PACE}'" in validations("jobs")


def test_a_token_is_for_google_alone_and_of_an_account_without_rights() -> None:
    key = validations("jobs")
    assert "serviceAccountToken" not in key
    assert ("ServiceAccount", _exporter.ACCOUNT) not in objects("jobs")
    audience = {"coursehub_drive_export_workload_identity_audience": "https://iam.example/pool"}
    token = validations("jobs", **audience)
    assert "source.serviceAccountToken.audience == 'https://iam.example/pool'" in token
    assert f"object.spec.template.spec.serviceAccountName == '{_exporter.ACCOUNT}'" in token
    assert "source.secret.name == 'drive-credentials'" in token
    made = objects("jobs", **audience)
    assert made[("ServiceAccount", _exporter.ACCOUNT)]["automountServiceAccountToken"] is False
    assert set(objects("jobs")) < set(made)
    rights = objects("rights", **audience)
    bound = [
        one for (kind, _name), item in rights.items() if kind.endswith("Binding") for one in item.get("subjects", [])
    ]
    assert {one["name"] for one in bound} == {"drive-export"}
    told = json.loads(objects("schedule", **audience)[("ConfigMap", "drive-export")]["data"]["inventory.json"])
    assert told["all"]["hosts"]["localhost"].items() >= audience.items()
