from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._variables import bad_values, unknown_variables
from hypothesis import given
from hypothesis import strategies as st

SPECS: dict[str, dict[str, Any]] = {
    "coursehub_disk_size": {"type": "str", "required": True},
    "coursehub_memory": {"type": "str"},
    "coursehub_cpu_limit": {"type": "raw"},
    "coursehub_replicas": {"type": "int"},
    "coursehub_provider": {"type": "str", "choices": ["kind", "gke"]},
    "coursehub_users": {"type": "list", "elements": "str"},
    "coursehub_time_zone": {"type": "str"},
}


def test_known_variables_are_no_problem() -> None:
    assert unknown_variables({"coursehub_memory"}, set(SPECS)) == []


def test_a_misspelt_variable_is_told_its_name() -> None:
    assert unknown_variables({"coursehub_memroy"}, set(SPECS)) == [
        "there is no variable 'coursehub_memroy': did you mean 'coursehub_memory'?"
    ]


def test_a_variable_like_none_of_ours_is_to_be_removed() -> None:
    (problem,) = unknown_variables({"coursehub_zzzzzzzzzzzzzzzzzzzzzz"}, set(SPECS))
    assert problem.endswith("no role of this collection has it; remove it")


def test_all_misspelt_variables_are_told_at_once_in_order() -> None:
    problems = unknown_variables({"coursehub_memroy", "coursehub_disk_sise"}, set(SPECS))
    assert [problem.split("'")[1] for problem in problems] == ["coursehub_disk_sise", "coursehub_memroy"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"coursehub_disk_size": "10Gi", "coursehub_memory": "512Mi", "coursehub_cpu_limit": 2},
        {"coursehub_memory": ""},
        {"coursehub_memory": None},
        {"coursehub_replicas": "3"},
        {"coursehub_users": ["ann", "bob"]},
        {"something_else_size": "many"},
    ],
)
def test_good_values_are_no_problem(values: dict[str, Any]) -> None:
    assert bad_values(values, SPECS) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"coursehub_disk_size": "10GB"}, "variable 'coursehub_disk_size': '10GB' is no Kubernetes quantity"),
        ({"coursehub_cpu_limit": "-1"}, "variable 'coursehub_cpu_limit': '-1' must be more than nothing"),
        ({"coursehub_memory": "0Gi"}, "variable 'coursehub_memory': '0Gi' must be more than nothing"),
        ({"coursehub_replicas": "two"}, "(variable 'coursehub_replicas')"),
        ({"coursehub_provider": "gce"}, "must be one of: kind, gke, got: gce (variable 'coursehub_provider')"),
        ({"coursehub_users": {"ann": 1}}, "(variable 'coursehub_users')"),
        ({"coursehub_time_zone": "Europe/Zürich"}, "there is no time zone 'Europe/Zürich'"),
    ],
)
def test_a_bad_value_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    (problem,) = bad_values(values, SPECS)
    assert sentence in problem


def test_each_bad_value_has_its_own_sentence() -> None:
    problems = bad_values({"coursehub_disk_size": "ten", "coursehub_replicas": "two"}, SPECS)
    assert len(problems) == 2


@given(
    st.dictionaries(st.sampled_from(sorted(SPECS)), st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())))
)
def test_no_value_ends_in_an_exception(values: dict[str, Any]) -> None:
    assert all(isinstance(problem, str) for problem in bad_values(values, SPECS))
