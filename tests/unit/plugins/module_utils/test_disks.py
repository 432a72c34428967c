from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

from tests.unit.plugins.disks import claim, pod


def test_what_a_claim_tells_of_a_disk() -> None:
    item = claim("ann@example.org", size="2Gi", last_start="2026-11-24T10:00:00+00:00", label="ann-example-org---1")
    assert _disks.disk(item) == _disks.Disk(
        student="ann@example.org",
        label="ann-example-org---1",
        claim="disk-ann-example-org---1",
        namespace="students",
        volume="pvc-ann-example-org---1",
        size=2 * 2**30,
        phase="Bound",
        last_start=datetime(2026, 11, 24, 10, tzinfo=UTC),
        storage_class="coursehub-disk",
    )


def test_a_claim_that_is_not_bound_has_the_size_that_it_asks_for() -> None:
    item = claim("ann", size="1Gi", phase="Pending")
    assert (_disks.disk(item).size, _disks.disk(item).volume) == (2**30, "")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-24T10:00:00"])
def test_a_start_that_is_no_moment_is_not_known(text: str) -> None:
    assert _disks.disk(claim("ann", last_start=text)).last_start is None


def test_only_claims_with_our_label_are_disks() -> None:
    item = claim("ann")
    assert _disks.is_disk(item)
    item["metadata"]["labels"] = None
    assert not _disks.is_disk(item)


# The roster.


def roster(folder: Path, content: bytes) -> str:
    path = folder / "roster.csv"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        b"student\nann\nbob\n",
        b"\xef\xbb\xbfstudent,group\r\nann,1\r\nbob,2\r\n",
        b'group, student \n1, "ann"\n2,bob\n2,bob',
    ],
)
def test_the_students_of_a_roster(tmp_path: Path, content: bytes) -> None:
    assert _disks.read_roster(roster(tmp_path, content)) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no column 'student', its columns are: none"),
        (b"name,group\nann,1\n", "has no column 'student', its columns are: name, group"),
        (b'student\nann\n" "\n', "line 3 of the roster"),
        (b"group,student\n1\n", "line 2 of the roster"),
        (b"student\n\xff\n", "can't be read"),
    ],
)
def test_a_roster_that_is_none(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(CoursehubError) as refused:
        _disks.read_roster(roster(tmp_path, content))
    assert sentence in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_roster_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CoursehubError, match=r"can't be read: .*No such file"):
        _disks.read_roster(str(tmp_path / "none"))


# The choice.

DISKS = [_disks.disk(claim(name)) for name in ("carl", "ann", "bob")]


def chosen(**parameters: Any) -> list[str]:
    return [disk.student for disk in _disks.choose(DISKS, parameters).disks]


def test_all_students_in_the_order_of_their_names() -> None:
    assert chosen(all_students=True) == chosen(selector="a=b") == ["ann", "bob", "carl"]


def test_students_in_the_order_in_which_they_are_named_each_once() -> None:
    assert chosen(students=["carl", "ann", "carl"]) == ["carl", "ann"]


def test_students_who_have_no_disk_are_named() -> None:
    with pytest.raises(CoursehubError, match="these students have no disk: dora, emil; check the spelling"):
        chosen(students=["ann", "dora", "emil"])


def test_students_by_a_pattern() -> None:
    assert chosen(pattern="[ab]*") == ["ann", "bob"]
    with pytest.raises(CoursehubError, match=r"no student's name is like 'z\*'"):
        chosen(pattern="z*")


def test_a_roster_may_name_students_who_were_never_there(tmp_path: Path) -> None:
    choice = _disks.choose(DISKS, {"roster": roster(tmp_path, b"student\nbob\nzoe\nann\n")})
    assert [disk.student for disk in choice.disks] == ["bob", "ann"]
    assert choice.without_disk == ("zoe",)


def test_students_may_be_picked_from_a_roster(tmp_path: Path) -> None:
    path = roster(tmp_path, b"student\nbob\nzoe\nann\n")
    choice = _disks.choose(DISKS, {"roster": path, "students": ["ann", "zoe"]}, allow_new=True)
    assert ([disk.student for disk in choice.disks], choice.without_disk) == (["ann"], ("zoe",))
    with pytest.raises(CoursehubError, match="these students have no disk: zoe"):
        _disks.choose(DISKS, {"roster": path, "students": ["ann", "zoe"]})
    with pytest.raises(CoursehubError, match=r"these students are not in the roster .*: carl; check the spelling"):
        _disks.choose(DISKS, {"roster": path, "students": ["carl", "ann"]})


@pytest.mark.parametrize(
    ("parameters", "pick", "good"),
    [
        ({"students": ["ann"], "roster": "class.csv"}, True, True),
        ({"students": ["ann"], "roster": "class.csv"}, False, False),
        ({"students": ["ann"], "roster": "class.csv", "pattern": "*"}, True, False),
        ({"roster": "class.csv", "all_students": True}, True, False),
    ],
)
def test_a_roster_and_students_are_one_way_where_its_columns_are_wanted(
    parameters: dict[str, Any], pick: bool, good: bool
) -> None:
    if good:
        _disks.check_selection(parameters, pick=pick)
    else:
        with pytest.raises(CoursehubError, match="choose students by exactly one of"):
            _disks.check_selection(parameters, pick=pick)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "none of them is set"),
        ({"students": [], "all_students": False}, "none of them is set"),
        ({"students": ["ann"], "all_students": True}, "students and all_students is set"),
    ],
)
def test_students_are_chosen_in_one_way(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _disks.check_selection(parameters)
    _disks.check_selection({"pattern": "*"})


def test_claims_that_a_pod_has() -> None:
    pods = [pod("server", "disk-ann"), pod("done", "disk-bob", "Succeeded"), pod("starting", "disk-carl", "Pending")]
    pods.append({"metadata": {"name": "none"}, "spec": {"volumes": [{"emptyDir": {}}]}})
    assert _disks.claims_in_use(pods) == {"disk-ann": "server", "disk-carl": "starting"}
