# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of an inventory's variables against the roles' argument specs; without I/O."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

PREFIX = "coursehub_"
# By convention of this collection a variable with such a name is a time zone, or a Kubernetes quantity.
_TIME_ZONE = re.compile(r"_time_zone\Z")
_QUANTITY = re.compile(r"_(size|memory|cpu)(_guarantee|_limit)?\Z")


def unknown_variables(names: set[str], known: set[str]) -> list[str]:
    """Return one sentence for each of our variables that no role has."""
    problems = []
    for name in sorted(names - known):
        close = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "no role of this collection has it; remove it"
        problems.append(f"there is no variable '{name}': {remedy}")
    return problems


def bad_values(values: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each value of the wrong type, outside the choices, or no time zone or quantity."""
    problems = []
    # Empty on a machine that has no list of them.
    zones = zoneinfo.available_timezones()
    for name in sorted(set(values) & set(specs)):
        # One variable at a time, so that each sentence is about one.
        result = ArgumentSpecValidator({name: {**specs[name], "required": False}}).validate({name: values[name]})
        if result.error_messages:
            problems += [f"{message} (variable '{name}')" for message in result.error_messages]
            continue
        if _TIME_ZONE.search(name) and zones and str(values[name]) not in zones:
            problems.append(f"variable '{name}': there is no time zone '{values[name]}'; write one as in Europe/Zurich")
        if _QUANTITY.search(name) and values[name] not in ("", None):
            try:
                positive = parse_quantity(str(values[name])) > 0
            except CoursehubError as error:
                problems.append(f"variable '{name}': {error}")
            else:
                if not positive:
                    problems.append(f"variable '{name}': '{values[name]}' must be more than nothing")
    return problems
