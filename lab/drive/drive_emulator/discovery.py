"""Checks requests and answers against Google's own description of Drive v3, which its Python client ships."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import unquote

from . import fields
from .errors import DriveError, bad_request, invalid, required

# The description calls these two read-only, but they are how permissions.create names whom it is for, see
# https://developers.google.com/workspace/drive/api/guides/manage-sharing.
_WRITABLE = {("Permission", "emailAddress"), ("Permission", "domain")}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_INTEGER = re.compile(r"-?\d+", re.ASCII)
_RANGES = {"int32": 2**31, "int64": 2**63}


@dataclass(frozen=True)
class Method:
    """One method of the API."""

    id: str
    http_method: str
    path: re.Pattern[str]
    parameters: dict[str, dict[str, Any]]
    request: str | None
    response: str | None
    scopes: frozenset[str]
    uploads: bool
    downloads: bool


@dataclass(frozen=True)
class Call:
    """A request that the description allows: its method, and its parameters with their types and defaults."""

    method: Method
    parameters: dict[str, Any]
    upload: bool


def _method(item: dict[str, Any], prefix: str) -> Method:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(prefix + item["path"]))
    return Method(
        id=item["id"],
        http_method=item["httpMethod"],
        path=re.compile(pattern),
        parameters=item.get("parameters", {}),
        request=item.get("request", {}).get("$ref"),
        response=item.get("response", {}).get("$ref"),
        scopes=frozenset(item.get("scopes", ())),
        uploads=item.get("supportsMediaUpload", False),
        downloads=item.get("supportsMediaDownload", False),
    )


class Discovery:
    """The description, as questions to it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.revision = document["revision"]
        self._schemas: dict[str, dict[str, Any]] = document["schemas"]
        self._common: dict[str, dict[str, Any]] = document["parameters"]
        prefix = "/" + document["servicePath"]
        found = [item for part in document["resources"].values() for item in part.get("methods", {}).values()]
        # Names before patterns, for `files/trash` is not a file.
        self.methods = [_method(item, prefix) for item in sorted(found, key=lambda item: item["path"].count("{"))]

    @classmethod
    def load(cls) -> Discovery:
        """Read the description that google-api-python-client ships."""
        folder = resources.files("googleapiclient.discovery_cache") / "documents"
        return cls(json.loads((folder / "drive.v3.json").read_text(encoding="utf-8")))

    def call(self, http_method: str, raw_path: str, query: Iterable[tuple[str, str]]) -> Call:
        """Return which call a request is; DriveError where the description has none such."""
        upload = raw_path.startswith("/upload/")
        path = raw_path.removeprefix("/upload")
        fits = [(method, match) for method in self.methods if (match := method.path.fullmatch(path))]
        if not fits:
            raise DriveError(404, "notFound", f"Drive v3 has no such path: {raw_path}")
        for method, match in fits:
            if method.http_method == http_method and (method.uploads or not upload):
                given = [(name, unquote(value)) for name, value in match.groupdict().items()]
                return Call(method, self._parameters(method, [*given, *query]), upload)
        raise DriveError(405, "httpMethodNotAllowed", f"Drive v3 has no {http_method} {raw_path}")

    def _parameters(self, method: Method, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
        known = self._common | method.parameters
        values: dict[str, Any] = {}
        for name, text in given:
            if name not in known:
                raise bad_request(f"{method.id} has no parameter {name}.", name)
            if known[name].get("deprecated"):
                raise bad_request(f"The parameter {name} is deprecated, and the emulator refuses it.", name)
            if name in values:
                raise bad_request(f"The parameter {name} is there twice.", name)
            values[name] = _parse(name, text, known[name])
        for name, rule in known.items():
            if name not in values and rule.get("required"):
                raise required(name)
            if name not in values and "default" in rule:
                values[name] = _parse(name, rule["default"], rule)
        return values

    def check_mask(self, schema: str | None, mask: fields.Mask) -> None:
        """Refuse a fields mask that names what the schema has not; DriveError."""
        if schema is not None:
            self._mask({"$ref": schema}, mask, "")

    def _mask(self, rule: dict[str, Any], mask: fields.Mask, path: str) -> None:
        rule = self._resolved(rule)
        if rule.get("type") == "array":
            rule = self._resolved(rule["items"])
        for name, below in mask.items():
            if name == "*" or "additionalProperties" in rule:
                continue
            if name not in rule.get("properties", {}):
                raise DriveError(400, "invalidParameter", f"Invalid field selection {path}{name}", location="fields")
            self._mask(rule["properties"][name], below, f"{path}{name}/")

    def check_body(self, schema: str | None, value: Any) -> None:
        """Refuse a body with a field that the schema has not, does not let write, or has with another type."""
        if schema is None:
            if value not in (None, {}):
                raise bad_request("This method takes no body.")
            return
        for problem, message in self._problems({"$ref": schema}, value, schema, "", request=True):
            if problem == "read-only":
                raise DriveError(
                    403,
                    "fieldNotWritable",
                    f"The resource body includes fields which are not directly writable: {message}",
                )
            raise bad_request(message)

    def check_response(self, schema: str | None, value: Any) -> list[str]:
        """Return what in an answer is not as the schema says; nothing where all is well."""
        if schema is None:
            return [] if value is None else ["an answer where there is none"]
        return [message for _problem, message in self._problems({"$ref": schema}, value, schema, "", request=False)]

    def _resolved(self, rule: dict[str, Any]) -> dict[str, Any]:
        return self._schemas[rule["$ref"]] if "$ref" in rule else rule

    def _problems(
        self, rule: dict[str, Any], value: Any, schema: str, path: str, *, request: bool
    ) -> Iterable[tuple[str, str]]:
        schema = rule.get("$ref", schema)
        rule = self._resolved(rule)
        kind = rule.get("type", "any")
        # Null clears a field in an update.
        if request and value is None and path:
            return
        if not _fits(kind, value):
            yield "type", f"{path or schema} is {type(value).__name__}, and not {kind}."
        elif kind == "object":
            for name, item in value.items():
                below = rule.get("properties", {}).get(name, rule.get("additionalProperties"))
                if below is None:
                    yield "unknown", f"{schema} has no field {path}{name}."
                elif request and _read_only(schema if not path else "", name, below):
                    yield "read-only", f"{path}{name}"
                else:
                    yield from self._problems(below, item, schema, f"{path}{name}.", request=request)
        elif kind == "array":
            for item in value:
                yield from self._problems(rule["items"], item, schema, path, request=request)
        elif kind == "string" and (message := _bad_string(value, rule)):
            yield "value", f"{path.rstrip('.')}: {message}"


def _read_only(schema: str, name: str, rule: dict[str, Any]) -> bool:
    if (schema, name) in _WRITABLE:
        return False
    return bool(rule.get("readOnly")) or rule.get("description", "").startswith("Output only.")


def _fits(kind: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    wanted: dict[str, type] = {"string": str, "object": dict, "array": list, "any": object}
    return isinstance(value, wanted[kind])


def _bad_string(value: str, rule: dict[str, Any]) -> str | None:
    if "enum" in rule and value not in rule["enum"]:
        return f"{value} is none of {', '.join(rule['enum'])}"
    if rule.get("format") == "date-time" and not _TIME.fullmatch(value):
        return f"{value} is not an RFC 3339 time"
    if rule.get("format") == "int64" and not _INTEGER.fullmatch(value):
        return f"{value} is not an integer"
    return None


def _parse(name: str, text: str, rule: dict[str, Any]) -> Any:
    kind = rule["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise invalid(f"Invalid value '{text}' for {name}: it is true or false.", name)
        return text == "true"
    if kind == "integer":
        # Longer than any 64-bit number is wrong too, and Python would count long at it.
        if not _INTEGER.fullmatch(text) or len(text) > 20 or abs(int(text)) >= _RANGES[rule["format"]]:
            raise invalid(f"Invalid value '{text}' for {name}: it is an integer.", name)
        least, most = int(rule.get("minimum", text)), int(rule.get("maximum", text))
        if not least <= int(text) <= most:
            raise invalid(f"Invalid value '{text}'. Values must be within the range: [{least}, {most}]", name)
        return int(text)
    if message := _bad_string(text, rule):
        raise invalid(f"Invalid value for {name}: {message}.", name)
    return text
