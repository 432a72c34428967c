from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from coursehub_tools.drive import arranging, bundle, names, plan
from coursehub_tools.drive.rows import BUNDLE, FOLDER, Row
from coursehub_tools.drive.steps import BIN, CHANGE, CONTENT, MAKE, UPLOAD, Digest, Plan
from hypothesis import given
from hypothesis import strategies as st

from .model import Home, Model, export, rows_of

NAMES = ("a", "b", "c", "a.b", "é")


@st.composite
def homes(draw: Any) -> Home:
    home: Home = {}
    for _turn in range(draw(st.integers(0, 12))):
        folders = ["", *sorted(path for path, content in home.items() if content is None)]
        path = names.join(draw(st.sampled_from(folders)), draw(st.sampled_from(NAMES)))
        if path not in home and path.count("/") < 5:
            home[path] = draw(st.sampled_from([None, None, "", "x", "y", "long", "other", "-> a"]))
    return home


@st.composite
def changes(draw: Any, home: Home) -> Home:
    """What a student may make of a home: move, remove, change, add."""
    home = dict(home)
    for _turn in range(draw(st.integers(1, 4))):
        paths = sorted(home)
        what = draw(st.sampled_from(["move", "remove", "add", "change", "swap"]))
        if what == "add" or not paths:
            home |= {path: content for path, content in draw(homes()).items() if _fits(home, path)}
            continue
        path = draw(st.sampled_from(paths))
        inside = {one: home[one] for one in paths if one == path or names.below(one, path)}
        if what == "remove":
            home = {one: home[one] for one in paths if one not in inside}
        elif what == "change" and home[path] is not None:
            home[path] = draw(st.sampled_from(["x", "y", "new", "-> b"]))
        elif what == "swap":
            other = draw(st.sampled_from(paths))
            if home[path] is not None and home[other] is not None:
                home[path], home[other] = home[other], home[path]
        elif what == "move":
            rest = {one: home[one] for one in paths if one not in inside}
            folders = ["", *sorted(one for one, content in rest.items() if content is None)]
            new = names.join(draw(st.sampled_from(folders)), draw(st.sampled_from(NAMES)))
            if new not in rest:
                home = rest | {new + one[len(path) :]: content for one, content in inside.items()}
    return home


def _fits(home: Home, path: str) -> bool:
    return path not in home and all(above in home and home[above] is None for above in names.lineage(path))


def times(home: Home, draw: Any) -> dict[str, int]:
    # A file that was written anew has another time; a copy may keep the old one.
    return {path: hash_of(content) for path, content in home.items() if content is not None}


def hash_of(text: str) -> int:
    return sum(text.encode()) + 2


def expected(home: Home) -> dict[tuple[str, str], str]:
    return {
        (path, "folder" if content is None else "file"): "folder" if content is None else content
        for path, content in home.items()
        if content is None or not content.startswith("->")
    }


@given(st.data())
def test_drive_has_what_the_home_has_after_any_changes(data: Any) -> None:
    model, home = Model(), data.draw(homes())
    for _turn in range(3):
        prune = data.draw(st.booleans())
        before = {node_id for node_id in model.nodes if model.path(node_id) is not None}
        steps = export(model, home, times(home, data.draw), prune=prune)
        assert model.live() == expected(home)
        after = {node_id for node_id in model.nodes if model.path(node_id) is not None}
        assert prune or before <= after
        if prune:
            assert {model.path(node_id) for node_id in after} - {""} == {path for path, _kind in expected(home)}
        assert not prune or not any(row.gone for row in model.rows)
        assert len({row.key for row in model.rows}) == len(model.rows)
        assert steps.bytes >= 0
        again = export(model, home, times(home, data.draw), prune=prune)
        assert again.actions == []
        home = data.draw(changes(home))


@given(st.data())
def test_the_order_in_which_things_come_is_no_matter(data: Any) -> None:
    model, home = Model(), data.draw(homes())
    export(model, home, times(home, data.draw))
    home = data.draw(changes(home))
    found = rows_of(home, times(home, data.draw))
    chance = random.Random(data.draw(st.integers(0, 9)))
    plans = []
    for _turn in range(2):
        rows = copy.copy(model.rows)
        chance.shuffle(found)
        chance.shuffle(rows)
        wanted = arranging.arrange(found, set())
        digests = {row.path: Digest(row.target, row.target) for row in arranging.questions(rows, wanted)}
        plans.append(plan.plan(rows, wanted, digests))
    assert plans[0].actions == plans[1].actions


@given(st.data())
def test_bundles_too_are_as_the_home_is(data: Any) -> None:
    model, home = Model(), data.draw(homes())
    for _turn in range(3):
        found = rows_of(home, times(home, data.draw))
        bundled = bundle.choose(found, model.rows, data.draw(st.sampled_from([bundle.ALWAYS, bundle.NEVER])), 2)
        prune = data.draw(st.booleans())
        export(model, home, times(home, data.draw), bundled=bundled, prune=prune)
        assert len({row.key for row in model.rows}) == len(model.rows)
        objects = {node_id for node_id in model.nodes if node_id != "top" and model.path(node_id) is not None}
        # Nothing that is in Drive is forgotten.
        assert {row.id for row in model.rows if row.id} == objects
        assert not prune or not any(row.gone for row in model.rows)
        rows = [row for row in model.rows if not row.gone]
        # All that is at home is once in the list, in a bundle or by itself.
        assert sorted((row.path, row.kind) for row in rows if row.kind != BUNDLE) == sorted(
            (row.path, row.kind) for row in found
        )
        for row in rows:
            if row.kind == BUNDLE:
                members = [one for one in rows if one.bundle == row.path]
                assert model.nodes[row.id].content == plan.signature(row.path, members)
        assert export(model, home, times(home, data.draw), bundled=bundled, prune=prune).actions == []
        home = data.draw(changes(home))


def verbs(steps: Plan) -> list[tuple[str, str]]:
    return [(action.verb, action.row.path) for action in steps.actions]


def test_a_folder_with_another_name_is_one_call() -> None:
    model = Model()
    home: Home = {"a": None, "a/b": None, **{f"a/b/{number}": f"content {number}" for number in range(50)}}
    assert len(export(model, home, {}).actions) == 52
    home = {path.replace("a", "z", 1): content for path, content in home.items()}
    assert verbs(export(model, home, {})) == [(CHANGE, "z")]


def test_a_file_that_moved_is_no_upload() -> None:
    model = Model()
    export(model, {"a": "some content", "b": None}, {})
    assert verbs(export(model, {"b": None, "b/c": "some content"}, {"b/c": 5})) == [(CHANGE, "b/c")]


def test_new_content_is_sent_and_a_new_time_is_not() -> None:
    model = Model()
    export(model, {"a": "one", "b": "two"}, {"a": 1, "b": 1})
    assert verbs(export(model, {"a": "new", "b": "two"}, {"a": 2, "b": 2})) == [(CONTENT, "a")]
    assert verbs(export(model, {"a": "new", "b": "two"}, {"a": 2, "b": 5_000_000})) == [(CHANGE, "b")]


def test_a_change_of_mode_is_in_the_list_alone() -> None:
    model = Model()
    export(model, {"a": "one"}, {})
    steps = plan.plan(model.rows, [Row("a", "file", 3, 1, 0o755, "one")], {})
    assert steps.actions == []
    assert [row.mode for row in steps.settled] == [0o755]


def test_what_is_gone_at_home_stays_unless_it_is_to_be_pruned() -> None:
    model = Model()
    export(model, {"a": None, "a/b": None, "a/b/c": "one", "d": "two"}, {})
    assert export(model, {"d": "two"}, {}).actions == []
    assert sorted(row.path for row in model.rows if row.gone) == ["a", "a/b", "a/b/c"]
    # One call for all that is in the folder.
    assert verbs(export(model, {"d": "two"}, {}, prune=True)) == [(BIN, "a")]
    assert [row.path for row in model.rows] == ["d"]


def test_what_comes_back_is_what_is_there_still() -> None:
    model = Model()
    export(model, {"a": None, "a/b": "one"}, {})
    export(model, {}, {})
    assert export(model, {"a": None, "a/b": "one"}, {}).actions == []
    assert not any(row.gone for row in model.rows)


@pytest.mark.parametrize("held", ["a", "a/b", "a/b/c"])
def test_what_can_not_be_read_is_left_as_it_was_exported(held: str) -> None:
    model = Model()
    export(model, {"a": None, "a/b": None, "a/b/c": "one"}, {})
    known = {row.key: row for row in model.rows}
    found: Home = {path: None for path in ("a", "a/b") if path != held and not names.below(path, held)}
    steps = plan.plan(model.rows, arranging.arrange(rows_of(found, {}), set()), {}, {held}, prune=True)
    assert steps.actions == []
    assert {row.key: row for row in steps.settled} == known


def test_a_bundle_with_something_unreadable_is_left_as_it_is() -> None:
    model = Model()
    export(model, {"a": None, "a/b": "one", "a/c": "two"}, {}, bundled=["a"])
    known = {row.key: row for row in model.rows}
    wanted = arranging.arrange(rows_of({"a": None, "a/b": "new"}, {"a/b": 7}), {"a"})
    steps = plan.plan(model.rows, wanted, {}, {"a/c"}, prune=True)
    assert steps.actions == []
    assert {row.key: row for row in steps.settled} == known


def test_a_bundle_with_another_name_is_one_call() -> None:
    model = Model()
    export(model, {"a": None, "a/b": "one"}, {}, bundled=["a"])
    steps = export(model, {"z": None, "z/b": "one"}, {}, bundled=["z"])
    assert verbs(steps) == [(CHANGE, "z")]
    assert [row.bundle for row in model.rows if row.kind != BUNDLE] == ["z", "z"]


def test_a_file_becomes_a_folder() -> None:
    model = Model()
    export(model, {"a": "one"}, {})
    assert verbs(export(model, {"a": None, "a/b": "two"}, {})) == [(MAKE, "a"), (UPLOAD, "a/b")]


def test_folders_come_from_the_top_down() -> None:
    model = Model()
    steps = export(model, {"a": None, "a/b": None, "a/b/c": None, "a.b": None}, {})
    made = [action.row.path for action in steps.actions if action.row.kind == FOLDER]
    assert all(made.index(names.parent(path)) < made.index(path) for path in made if names.parent(path))


def test_empty_files_are_not_taken_for_one_another() -> None:
    model = Model()
    export(model, {"a": ""}, {})
    assert verbs(export(model, {"b": ""}, {})) == [(UPLOAD, "b")]


def test_a_folder_that_is_there_still_is_not_taken_for_a_new_one() -> None:
    model = Model()
    export(model, {"a": None, "a/one": "content 1", "a/two": "content 2"}, {})
    steps = export(model, {"0": None, "0/one": "content 1", "a": None, "a/two": "content 2"}, {})
    assert verbs(steps) == [(MAKE, "0"), (CHANGE, "0/one")]
