# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a course's classes are read: an iCalendar file, its address, or a list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http.client import HTTPException
from typing import Any

from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _calendar
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

ASK_TIMEOUT_S = 15
# A year of classes is 300 kB; more is no calendar.
MOST_BYTES = 4 << 20
# As calendars call their own addresses; all of them answer by https too.
WEBCAL = "webcal://"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "calendar": {"type": "str", "default": ""},
    "classes": {"type": "list", "elements": "dict", "default": []},
    "time_zone": {"type": "str", "default": "UTC"},
    "class_seats": {"type": "int", "default": 0},
}


class AwayError(CoursehubError):
    """The address of a calendar does not answer. It may answer somewhere else, or later."""


def text_of(source: str) -> str:
    """Return what a file or an address has. Raises CoursehubError where it can't be had."""
    address = f"https://{source.removeprefix(WEBCAL)}" if source.startswith(WEBCAL) else source
    remote = address.startswith(("http://", "https://"))
    # No sentence has the address: that of a calendar is often its only secret.
    try:
        if remote:
            with open_url(address, timeout=ASK_TIMEOUT_S) as answer:
                content = answer.read(MOST_BYTES)
        else:
            with open(source, "rb") as file:
                content = file.read(MOST_BYTES)
    except (HTTPException, ValueError) as error:
        raise CoursehubError(
            "the calendar can't be had: its address is none, or the answer broke off; open it in a browser"
        ) from error
    except (OSError, NoConnection) as error:
        sentence = f"the calendar can't be had: {getattr(error, 'reason', None) or error}"
        raise (AwayError if remote else CoursehubError)(sentence) from error
    return str(content.decode("utf-8", "replace"))


def meetings_of(parameters: Mapping[str, Any], now: datetime) -> list[_calendar.Meeting]:
    """Return the classes of ``calendar`` or ``classes``. Raises CoursehubError for what can't be used."""
    zone = parameters["time_zone"]
    if parameters["calendar"] and parameters["classes"]:
        raise CoursehubError("there are a calendar and a list of classes: leave one of them out")
    if parameters["calendar"]:
        return _calendar.from_ical(text_of(parameters["calendar"]), zone, parameters["class_seats"] or None, now)
    return _calendar.from_list(parameters["classes"], zone, now) if parameters["classes"] else []
