# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How large a disk is to be; without I/O. All sizes are in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity


@dataclass(frozen=True)
class Rule:
    """A disk that is used to more than ``above`` percent grows by ``step``, up to ``limit``."""

    above: int
    step: int
    limit: int


def parse_rule(parameters: Mapping[str, Any]) -> Rule:
    """Return the rule of the parameters ``above``, ``step`` and ``limit``.

    Raises CoursehubError for a percentage that is none, and for a size that is no quantity or not above zero.
    """
    above = int(parameters["above"])
    if not 1 <= above <= 99:
        raise CoursehubError(f"above is {above}: write a percentage from 1 to 99")
    sizes = {name: parse_size(name, str(parameters[name])) for name in ("step", "limit")}
    return Rule(above, sizes["step"], sizes["limit"])


def parse_size(name: str, text: str) -> int:
    """Return a size in bytes. Raises CoursehubError, which names the parameter, for one that is none."""
    try:
        size = int(parse_quantity(text))
    except CoursehubError as error:
        raise CoursehubError(f"{name}: {error}") from error
    if size <= 0:
        raise CoursehubError(f"{name} is '{text}': a size is above zero, as in 1Gi")
    return size


def grown(size: int, used: int, rule: Rule) -> int:
    """Return the size that a disk is to have: by so many steps that it is below the threshold again, up to the limit.

    A disk that is larger than the limit already stays as it is: none ever shrinks.
    """
    if not crowded(size, used, rule):
        return size
    # Smallest n for which used <= above % of size + n steps.
    missing = -(-used * 100 // rule.above) - size
    steps = max(1, -(-missing // rule.step))
    return max(size, min(size + steps * rule.step, rule.limit))


def crowded(size: int, used: int, rule: Rule) -> bool:
    """Tell whether a disk is used to more than the rule's percentage."""
    return used * 100 > size * rule.above
