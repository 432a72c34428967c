"""The query language reads what Google's documentation writes, and refuses the rest."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from drive_emulator.errors import DriveError
from drive_emulator.query import Both, Compare, Has, In, Node, Not, conditions, folders, parse, quote
from hypothesis import given
from hypothesis import strategies as st


def written(node: Node) -> str:
    """Return a tree as the language writes it."""
    if isinstance(node, Both):
        return f"({written(node.left)}) {node.operator} ({written(node.right)})"
    if isinstance(node, Not):
        return f"not ({written(node.part)})"
    if isinstance(node, In):
        return f"{quote(node.value)} in {node.collection}"
    if isinstance(node, Has):
        value = "" if node.value is None else f" and value={quote(node.value)}"
        return f"{node.collection} has {{ key={quote(node.key)}{value} }}"
    value = str(node.value).lower() if isinstance(node.value, bool) else quote(str(node.value))
    return f"{node.term} {node.operator} {value}"


texts = st.text(max_size=20)
leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Compare, st.just("name"), st.sampled_from(["contains", "=", "!="]), texts),
    st.builds(Compare, st.sampled_from(["trashed", "starred"]), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(In, texts, st.sampled_from(["parents", "owners", "writers", "readers"])),
    st.builds(Has, st.sampled_from(["properties", "appProperties"]), texts, st.none() | texts),
)
nodes = st.recursive(
    leaves,
    lambda parts: st.builds(Not, parts) | st.builds(Both, st.sampled_from(["and", "or"]), parts, parts),
    max_leaves=8,
)


@given(nodes)
def test_a_query_that_is_written_is_read_as_it_was_meant(node: Any) -> None:
    assert parse(written(node)) == node


@given(texts)
def test_any_text_is_read_or_refused(text: str) -> None:
    # DriveError is the only one that a query may raise.
    with contextlib.suppress(DriveError):
        parse(text)


@given(texts)
def test_any_name_can_be_asked_for(name: str) -> None:
    assert parse(f"name = {quote(name)}") == Compare("name", "=", name)


A, B, C = (Compare("name", "=", name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", None),
        ("name = 'a' or name = 'b' and name = 'c'", Both("and", Both("or", A, B), C)),
        ("name = 'a' or (name = 'b' and name = 'c')", Both("or", A, Both("and", B, C))),
        ("not name = 'a' and name = 'b'", Both("and", Not(A), B)),
        ("modifiedTime > '2012-06-04T12:00:00'", Compare("modifiedTime", ">", 1338811200000)),
        ("modifiedTime<='2012-06-04T12:00:00-08:00'", Compare("modifiedTime", "<=", 1338840000000)),
        ("name contains 'quinn\\'s paper\\\\essay'", Compare("name", "contains", "quinn's paper\\essay")),
        ("appProperties has { key='k' and value='v' }", Has("appProperties", "k", "v")),
        ("'me' in owners", In("me", "owners")),
    ],
)
def test_queries_of_the_documentation(text: str, node: Node | None) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name = ",
        "name = 'a",
        "name = a",
        "name = 'it's'",
        "name > 'a'",
        "trashed = 'true'",
        "trashed contains true",
        "modifiedTime > 'yesterday'",
        "modifiedTime > '2012-13-04T12:00:00'",
        "title = 'a'",
        "'x' in children",
        "name = 'a' and",
        "name = 'a' name = 'b'",
        "(name = 'a'",
        "name = 'a')",
        "appProperties has {}",
        "appProperties has { value='v' }",
        'name = "a"',
        "not",
        "(" * 1000 + "name = 'a'" + ")" * 1000,
        "not " * 1000 + "name = 'a'",
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(DriveError) as caught:
        parse(text)
    assert (caught.value.status, caught.value.location) == (400, "q")


def test_what_drive_has_and_the_emulator_has_not_is_said() -> None:
    with pytest.raises(DriveError) as caught:
        parse("fullText contains 'a'")
    assert caught.value.status == 501


def test_conditions_are_those_that_must_hold() -> None:
    assert conditions(parse("name = 'a' and (name = 'b' or name = 'c')")) == [A]
    assert conditions(parse("name = 'a' and name = 'b'")) == [A, B]
    assert conditions(parse("name = 'a' or name = 'b'")) == []
    assert conditions(None) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("trashed = true", None),
        ("'a' in parents", {"a"}),
        ("trashed = false and 'a' in parents", {"a"}),
        ("trashed = false and ('a' in parents or 'b' in parents)", {"a", "b"}),
        ("'a' in parents or trashed = true", None),
        ("not 'a' in parents", None),
        ("'a' in owners", None),
    ],
)
def test_folders_are_those_that_a_file_must_be_in(text: str, found: set[str] | None) -> None:
    assert folders(parse(text)) == found
