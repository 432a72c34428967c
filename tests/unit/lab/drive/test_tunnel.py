"""The proxy leads to nothing but the emulator, and only for Google's names."""

from __future__ import annotations

import pytest
from drive_emulator.tunnel import allowed


@pytest.mark.parametrize(
    ("target", "led"),
    [
        ("www.googleapis.com:443", True),
        ("OAUTH2.googleapis.com:443", True),
        ("accounts.google.com:443", True),
        ("www.googleapis.com:80", False),
        ("www.googleapis.com", False),
        ("example.org:443", False),
        ("googleapis.com.example.org:443", False),
        ("127.0.0.1:443", False),
        ("", False),
    ],
)
def test_targets(target: str, led: bool) -> None:
    assert allowed(target) is led
