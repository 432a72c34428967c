"""Fields masks, see https://developers.google.com/workspace/drive/api/guides/fields-parameter."""

from __future__ import annotations

import re
from typing import Any

from .errors import DriveError

# What is wanted of an object, by name. An empty mask below a name means all of it.
Mask = dict[str, "Mask"]
_TOKEN = re.compile(r"\s*([A-Za-z0-9_.-]+|[*/(),])")
# Deeper than any schema of Drive.
_MAX_DEPTH = 20


def _bad(text: str) -> DriveError:
    return DriveError(400, "invalidParameter", f"Invalid field selection {text}", location="fields")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s", "", text):
            raise _bad(text)
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.place += 1
        return token

    def selection(self, depth: int) -> Mask:
        mask: Mask = {}
        while True:
            self.path(mask, depth)
            if self.peek() != ",":
                return mask
            self.take()

    def path(self, mask: Mask, depth: int) -> None:
        name = self.take()
        if depth > _MAX_DEPTH or name in ("", "/", "(", ")", ","):
            raise _bad(self.text)
        whole = name in mask and not mask[name]
        below: Mask = {}
        if self.peek() == "/":
            self.take()
            self.path(below, depth + 1)
        elif self.peek() == "(":
            self.take()
            below = self.selection(depth + 1)
            if self.take() != ")":
                raise _bad(self.text)
        # Asked for twice, once whole: it is whole.
        mask[name] = {} if whole or not below else merge(mask.get(name, {}), below)


def merge(one: Mask, other: Mask) -> Mask:
    """Return the mask that shows what either shows below the same name."""
    merged = dict(one)
    for name, below in other.items():
        known = merged.get(name)
        merged[name] = below if known is None else merge(known, below) if known and below else {}
    return merged


def parse(text: str) -> Mask:
    """Return the mask that a text means; DriveError where it is none."""
    parser = _Parser(text)
    mask = parser.selection(0)
    if parser.peek():
        raise _bad(text)
    return mask


def wanted(mask: Mask, name: str) -> Mask | None:
    """Return the mask for what is below a name, or None where the name is not wanted."""
    if not mask:
        return {}
    found = [mask[key] for key in (name, "*") if key in mask]
    if not found:
        return None
    return found[0] if len(found) == 1 else merge({"x": found[0]}, {"x": found[1]})["x"]


def pick(answer: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """Return what a mask shows of an answer."""
    return {name: select(item, below) for name, item in answer.items() if (below := wanted(mask, name)) is not None}


def select(value: Any, mask: Mask) -> Any:
    """Return what a mask shows of a value."""
    if not mask:
        return value
    if isinstance(value, list):
        return [select(item, mask) for item in value]
    return pick(value, mask) if isinstance(value, dict) else value
