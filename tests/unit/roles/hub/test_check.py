"""What is refused before anything is changed."""

from __future__ import annotations

import re

import pytest
import yaml
from jinja2 import Environment

from tests.unit.paths import ROOT

ENVIRONMENT = Environment(autoescape=True)
ENVIRONMENT.tests["match"] = lambda text, pattern: re.match(pattern, text) is not None


def taken(url: str) -> bool:
    tasks = yaml.safe_load((ROOT / "roles/hub/tasks/check.yml").read_text(encoding="utf-8"))
    (task,) = [one for one in tasks if one["name"] == "Check that the database has an address"]
    condition = ENVIRONMENT.compile_expression(task["ansible.builtin.assert"]["that"])
    return bool(condition(coursehub_hub_database_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:password@db.example.org:5432/hub",
        "postgresql://hub:se%40c%2Fr%25t@10.0.0.7/hub?sslmode=verify-full",
        "postgresql://db.example.org/hub?user=hub",
        "postgresql://hub:a:b@[fd00::7]:5432/hub",
        "postgresql://hub@%2Fvar%2Frun/hub",
    ],
)
def test_the_address_of_a_database(url: str) -> None:
    assert taken(url)


@pytest.mark.parametrize("password", ["se%cret", "se@cret", "se/cret", "se?cret", "se#cret", "se%00cret"])
def test_a_password_that_would_be_named_as_something_else(password: str) -> None:
    """PostgreSQL's library names the host that it did not find, and words that it can't decode: those of a password."""
    assert not taken(f"postgresql://hub:{password}@db.example.org:5432/hub")


@pytest.mark.parametrize("url", ["", "mysql://hub:password@db/hub", "db.example.org"])
def test_what_is_no_address(url: str) -> None:
    assert not taken(url)
