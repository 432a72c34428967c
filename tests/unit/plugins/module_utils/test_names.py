"""The names of disks that are made ahead of class are those that the hub's spawner looks for."""

from __future__ import annotations

import re

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter, _names, _restore, _slots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("student", "slug"),
    [
        # As KubeSpawner 7.1 writes them.
        ("alice", "alice"),
        ("alice@example.org", "alice-example-org---7a64adf2"),
        ("9lives", "x-9lives---bc867356"),
        ("a--b", "a-b---90827a2e"),
        ("x" * 49, "x" * 37 + "---55bb9823"),
        ("-", "x---3973e022"),
        ("jos\u00e9", "jos---d994e1d0"),
        ("a.b", "a-b---2e7336dc"),
    ],
)
def test_the_spawners_own_examples(student: str, slug: str) -> None:
    assert _names.slug(student) == slug
    assert _names.claim_name(student) == f"disk-{slug}"


@given(st.text(min_size=1))
def test_a_name_is_one_that_kubernetes_takes(student: str) -> None:
    slug = _names.slug(student)
    assert len(slug) <= _names.LONGEST
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", slug)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_no_two_students_have_one_disk(students: list[str]) -> None:
    assert len({_names.slug(student) for student in students}) == 2


@pytest.mark.parametrize(
    ("student", "sentence"),
    [("Alice", "write alice"), (" alice", "spaces around the name"), ("", "spaces around the name")],
)
def test_a_name_that_the_hub_does_not_know_is_refused(student: str, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _names.check(student)


@pytest.mark.parametrize("prefix", ["", "Back", "-back", "back-", "a/b", "b" * 64, "a.b"])
def test_a_new_disks_name_is_one_that_kubernetes_takes(prefix: str) -> None:
    with pytest.raises(CoursehubError, match="are of a-z, 0-9 and hyphens"):
        _names.check_new_disk(prefix)
    _names.check_new_disk("b" * 63)


def test_a_new_disk_is_not_called_as_one_that_is_removed_again() -> None:
    own = (_names.PREFIX, _slots.STATE_PREFIX, _exporter.CLONE_PREFIX, _restore.PREFIX, _restore.SCRATCH_PREFIX)
    assert tuple(f"{one}-" for one in _names.OWN_PREFIXES) == own
    for prefix in _names.OWN_PREFIXES:
        with pytest.raises(CoursehubError, match=f"new_disk is '{prefix}'"):
            _names.check_new_disk(prefix)
