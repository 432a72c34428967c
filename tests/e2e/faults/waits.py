"""What one waits for when something is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import requests

from tests.e2e.student import Student

# Longer than the 300 s for which a server keeps the hub's answer of itself. The hour is the benchmark's.
AWAY_S = float(os.environ.get("COURSEHUB_HUB_AWAY_S") or 720)
API_AWAY_S = 180
# A kubelet waits before it begins a container anew that has ended often, up to 300 s. A hub did so for more than 30 s
# that a test had ended three times in ten minutes.
BACK_OFF_S = 330


def start_again(student: Student, deadline: float) -> None:
    """Do what a student does whose server is gone: open the page again until it comes."""
    while True:
        try:
            if not student.session.cookies:
                student.login()
            student.start(30)
        except (requests.RequestException, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def works(student: Student) -> bool:
    """Tell whether a student's server answers."""
    try:
        return student.get(f"/user/{student.name}/api/contents/").status_code == 200
    except requests.RequestException:
        return False


def hub_answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/hub/health", timeout=3).status_code == 200
    except requests.RequestException:
        return False


def can_log_in(url: str) -> bool:
    try:
        Student(url, f"after-{time.time_ns():x}").login()
    except (requests.RequestException, AssertionError):
        return False
    return True


def seconds_until(condition: Callable[[], bool], seconds: float, interval: float = 0.2) -> float:
    """Wait until it holds; return how long that took. Fails after so many seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"not in {seconds} s"
        time.sleep(interval)
    return time.monotonic() - begun
