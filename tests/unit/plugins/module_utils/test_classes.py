"""Where classes are read."""

from __future__ import annotations

import http.client
from io import BytesIO
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _classes
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def test_webcal_is_https(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def open_url(address: str, **_more: Any) -> BytesIO:
        asked.append(address)
        return BytesIO(b"BEGIN:VCALENDAR")

    monkeypatch.setattr(_classes, "open_url", open_url)
    assert _classes.text_of("webcal://calendar.example.org/a.ics") == "BEGIN:VCALENDAR"
    assert asked == ["https://calendar.example.org/a.ics"]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (http.client.IncompleteRead(b"half"), CoursehubError),
        (http.client.InvalidURL("URL can't contain control characters. '/secret'"), CoursehubError),
        (ValueError("unknown url type: secret"), CoursehubError),
        (TimeoutError("timed out"), _classes.AwayError),
    ],
)
def test_what_goes_wrong_is_one_sentence_without_the_address(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[CoursehubError]
) -> None:
    def open_url(address: str, **_more: Any) -> BytesIO:
        raise raised

    monkeypatch.setattr(_classes, "open_url", open_url)
    with pytest.raises(kind, match="the calendar can't be had") as told:
        _classes.text_of("https://calendar.example.org/secret.ics")
    assert "secret" not in str(told.value)
