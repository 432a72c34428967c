"""Paths in a student's home."""

from __future__ import annotations

from datetime import datetime

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _paths
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def test_in_their_shortest_form_each_once() -> None:
    assert _paths.checked(["week3/a.ipynb", "./week3//a.ipynb", "data/"]) == ["week3/a.ipynb", "data"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../other", "a/../../b", "a\0b", "/home/student/.."])
def test_one_that_leaves_the_home_is_refused(path: str) -> None:
    with pytest.raises(CoursehubError, match="which leaves the home"):
        _paths.checked([path])


@pytest.mark.parametrize("path", ["", " ", ".", "./"])
def test_one_that_names_nothing_is_refused(path: str) -> None:
    with pytest.raises(CoursehubError, match="name a file or a folder"):
        _paths.checked([path])


def test_the_folder_is_named_by_the_time_in_utc() -> None:
    assert _paths.folder(datetime.fromisoformat("2026-11-24T01:30:00+02:00")) == "restored-20261123T233000Z"
