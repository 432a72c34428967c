from __future__ import annotations

from typing import Any

import pytest

from scripts import role_docs


def option(**more: Any) -> dict[str, Any]:
    return {"type": "str", "description": "What it is.", **more}


@pytest.mark.parametrize(
    ("given", "row"),
    [
        (option(), "| `a` | str | see meaning | What it is. |"),
        (option(default="x"), "| `a` | str | `x` | What it is. |"),
        (option(default=""), "| `a` | str | none | What it is. |"),
        (option(type="bool", default=False), "| `a` | bool | `false` | What it is. |"),
        (option(type="int", default=0), "| `a` | int | `0` | What it is. |"),
        (option(choices=["", "x", "y"]), "| `a` | `x`, `y` | see meaning | What it is. |"),
        (option(type="list", elements="str", default=[]), "| `a` | list of str | none | What it is. |"),
        (option(type="list", elements="str", default=["x", "y"]), "| `a` | list of str | `x`<br>`y` | What it is. |"),
        (option(description=["One.", "Or O(b), V(c|d)."]), "| `a` | str | see meaning | One. Or `b`, `c\\|d`. |"),
    ],
)
def test_a_row(given: dict[str, Any], row: str) -> None:
    assert role_docs.table({"a": given}).splitlines()[2:] == [row]


def test_only_the_table_of_a_page_changes() -> None:
    page = role_docs.page("before\n<!-- variables -->\nold\n<!-- /variables -->\nafter\n", {"a": option()})
    assert page.startswith("before\n<!-- variables -->\n| variable |")
    assert page.endswith("What it is. |\n<!-- /variables -->\nafter\n")
    assert role_docs.page(page, {"a": option()}) == page


def test_a_page_without_a_place_for_its_table() -> None:
    with pytest.raises(ValueError, match="no place"):
        role_docs.page("nothing", {})
