"""The query language of files.list: a text becomes a tree, and a tree tells whether a file fits.

https://developers.google.com/workspace/drive/api/guides/ref-search-terms lists terms and operators. `and` and `or`
bind alike, from left to right (https://developers.google.com/workspace/drive/api/guides/search-shareddrives).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .clock import parse_ms
from .errors import DriveError, not_implemented

_EQUAL = ("=", "!=")
_ORDER = ("<=", "<", "=", "!=", ">", ">=")
# Term -> its operators and the type of its value.
COMPARED: dict[str, tuple[tuple[str, ...], type]] = {
    "name": (("contains", *_EQUAL), str),
    "mimeType": (("contains", *_EQUAL), str),
    "modifiedTime": (_ORDER, int),
    "createdTime": (_ORDER, int),
    "trashed": (_EQUAL, bool),
    "starred": (_EQUAL, bool),
    "sharedWithMe": (_EQUAL, bool),
}
COLLECTIONS = ("parents", "owners", "writers", "readers")
PROPERTIES = ("properties", "appProperties")
_ELSEWHERE = ("fullText", "viewedByMeTime", "visibility", "shortcutDetails.targetId", "labels", "memberCount")
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\['\\])*')|(?P<word>[A-Za-z][A-Za-z.]*)|(?P<sign><=|>=|!=|[<>=(){}]))"""
)
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Compare:
    """A term, an operator and a value; times are in milliseconds since 1970."""

    term: str
    operator: str
    value: str | int | bool


@dataclass(frozen=True)
class In:
    """A value that is in a collection."""

    value: str
    collection: str


@dataclass(frozen=True)
class Has:
    """A property with a value; `value` is None where only the key is asked for."""

    collection: str
    key: str
    value: str | None


@dataclass(frozen=True)
class Not:
    """What does not fit."""

    part: Node


@dataclass(frozen=True)
class Both:
    """Two parts and what joins them."""

    operator: Literal["and", "or"]
    left: Node
    right: Node


Node = Compare | In | Has | Not | Both


def _bad(message: str) -> DriveError:
    return DriveError(400, "invalid", f"Invalid Value: {message}", location="q")


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def quote(text: str) -> str:
    """Return a text as the language writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        text = text.strip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise _bad(f"cannot be read from here: {text[place : place + 40]}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        self.place = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def take(self, kind: str, *texts: str) -> str:
        found, text = self.peek()
        if found != kind or (texts and text not in texts):
            raise _bad(f"{' or '.join(texts) or f'a {kind}'} is wanted where {text or 'the end'} stands")
        self.place += 1
        return text

    def expression(self, depth: int) -> Node:
        node = self.operand(depth)
        while self.peek() in (("word", "and"), ("word", "or")):
            operator: Literal["and", "or"] = "and" if self.take("word") == "and" else "or"
            node = Both(operator, node, self.operand(depth))
        return node

    def operand(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise _bad("too deep")
        if self.peek() == ("word", "not"):
            self.take("word")
            return Not(self.operand(depth + 1))
        if self.peek() == ("sign", "("):
            self.take("sign")
            node = self.expression(depth + 1)
            self.take("sign", ")")
            return node
        if self.peek()[0] == "string":
            value = _unquote(self.take("string"))
            self.take("word", "in")
            return In(value, self.take("word", *COLLECTIONS))
        return self.term(self.take("word"))

    def term(self, name: str) -> Node:
        if name in _ELSEWHERE:
            raise not_implemented(f"the query term {name}")
        if name in PROPERTIES:
            return self.property(name)
        if name not in COMPARED:
            raise _bad(f"there is no term {name}")
        operators, kind = COMPARED[name]
        operator = self.take(self.peek()[0], *operators)
        if kind is bool:
            return Compare(name, operator, self.take("word", "true", "false") == "true")
        text = _unquote(self.take("string"))
        if kind is str:
            return Compare(name, operator, text)
        try:
            return Compare(name, operator, parse_ms(text))
        except ValueError as error:
            raise _bad(str(error)) from None

    def property(self, name: str) -> Node:
        self.take("word", "has")
        self.take("sign", "{")
        self.take("word", "key")
        self.take("sign", "=")
        key, value = _unquote(self.take("string")), None
        if self.peek() == ("word", "and"):
            self.take("word")
            self.take("word", "value")
            self.take("sign", "=")
            value = _unquote(self.take("string"))
        self.take("sign", "}")
        return Has(name, key, value)


def parse(text: str) -> Node | None:
    """Return the tree of a query, None for an empty one; DriveError where it can't be read."""
    parser = _Parser(text)
    if not parser.tokens:
        return None
    node = parser.expression(0)
    if parser.place < len(parser.tokens):
        raise _bad(f"something is left: {parser.peek()[1]}")
    return node


def conditions(node: Node | None) -> list[Node]:
    """Return conditions that every file that fits must meet, for a quick choice of candidates."""
    if isinstance(node, Both) and node.operator == "and":
        return conditions(node.left) + conditions(node.right)
    return [] if node is None or isinstance(node, Both) else [node]


def folders(node: Node | None) -> set[str] | None:
    """Return the folders in one of which every file that fits is, or None where the query names none such."""
    if isinstance(node, In) and node.collection == "parents":
        return {node.value}
    if not isinstance(node, Both):
        return None
    left, right = folders(node.left), folders(node.right)
    if node.operator == "and":
        return right if left is None else left
    return None if left is None or right is None else left | right
