"""Write each role's table of variables into its README, from its argument spec.

Usage: python scripts/role_docs.py [--check]. With --check nothing is written, and it ends with 1 where a table is old.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
BEGIN, END = "<!-- variables -->", "<!-- /variables -->"
# Ansible's marks in descriptions: C(code), O(option=value), V(value).
_MARK = re.compile(r"\b[COVE]\(([^)]*)\)")


def table(options: dict[str, dict[str, Any]]) -> str:
    """Return a Markdown table of a role's options."""
    lines = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in options.items():
        lines.append(f"| `{name}` | {_type(option)} | {_default(option)} | {_meaning(option['description'])} |")
    return "\n".join(lines)


def _type(option: dict[str, Any]) -> str:
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"] if choice != "")
    return f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])


def _default(option: dict[str, Any]) -> str:
    default = option.get("default")
    if default is None:
        return "see meaning"
    if isinstance(default, list):
        return "<br>".join(f"`{item}`" for item in default) or "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if default not in ("", {}) else "none"


def _meaning(description: str | list[str]) -> str:
    text = " ".join(description) if isinstance(description, list) else description
    return _MARK.sub(r"`\1`", text).replace("|", "\\|").replace("\n", " ")


def page(readme: str, options: dict[str, dict[str, Any]]) -> str:
    """Return a README with its table renewed. Raises ValueError where it has no place for one."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"no place '{BEGIN} … {END}'")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table(options)}\n{END}{rest.split(END)[1]}"


def main(check: bool) -> int:
    """Renew every README; return the exit code."""
    old = []
    for spec in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        options = yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
        path = spec.parents[1] / "README.md"
        fresh = page(path.read_text(encoding="utf-8"), options)
        if fresh != path.read_text(encoding="utf-8"):
            old.append(path.parent.name)
            if not check:
                path.write_text(fresh, encoding="utf-8")
    if old:
        print(f"role_docs: {'old' if check else 'renewed'}: {', '.join(old)}")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--check"]))
