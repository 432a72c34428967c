"""Pages of short lists, whose token is a place in them."""

from __future__ import annotations

from typing import TypeVar

from .errors import DriveError

Item = TypeVar("Item")


def page(items: list[Item], size: int, token: str | None) -> tuple[list[Item], dict[str, str]]:
    """Return a page of a list and what the answer says of the next one; DriveError for a token that is none."""
    start = number(token) if token is not None else 0
    rest = {"nextPageToken": str(start + size)} if start + size < len(items) else {}
    return items[start : start + size], rest


def number(token: str) -> int:
    """Return the place or number that a token stands for; DriveError where it is no such token."""
    if not (token.isascii() and token.isdigit() and len(token) < 20):
        raise DriveError(400, "invalid", "Invalid Value", location="pageToken")
    return int(token)
