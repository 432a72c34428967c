from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleUndefinedVariable
from ansible_collections.coursehub.jupyterhub.plugins.action import check_variables

from tests.unit.paths import ROLES
from tests.unit.plugins.action.task import run_action


class Templar:
    """Knows no variable but those without braces."""

    def template(self, value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            raise AnsibleUndefinedVariable("undefined")
        return value


def check(**variables: Any) -> dict[str, Any]:
    return run_action(check_variables.ActionModule, templar=Templar(), task_vars=variables)


def test_good_variables() -> None:
    assert check(coursehub_name="course", inventory_hostname="localhost") == {"changed": False, "checked": 1}


def test_all_problems_are_told_at_once() -> None:
    result = check(coursehub_nmae="course", coursehub_hub_disk_size="10GB")
    assert result["failed"]
    assert len(result["problems"]) == 2
    assert result["msg"] == "; ".join(result["problems"])
    assert "did you mean 'coursehub_name'?" in result["msg"]


def test_what_a_role_finds_out_later_is_not_checked_now() -> None:
    assert check(coursehub_proxy_image="{{ _coursehub_images.proxy }}") == {"changed": False, "checked": 0}


def test_variables_of_others_are_not_ours_to_judge() -> None:
    assert check(disk_size="10GB", coursehubs="x")["checked"] == 0


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))
def test_each_default_is_in_the_spec_and_each_default_of_the_spec_is_the_roles(role: str) -> None:
    defaults_file = ROLES / role / "defaults/main.yml"
    defaults = yaml.safe_load(defaults_file.read_text(encoding="utf-8")) if defaults_file.exists() else {}
    text = (ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    options = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    assert set(defaults) <= set(options)
    for name, option in options.items():
        templated = isinstance(defaults.get(name), str) and re.search(r"{{|\A\Z", defaults[name])
        if "default" in option and not templated:
            assert defaults.get(name) == option["default"], name
        if name in defaults and not templated:
            assert "default" in option, f"{name} has the default {defaults[name]!r}, which its spec does not tell"
