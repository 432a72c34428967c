from __future__ import annotations

import json
import ssl
from itertools import pairwise
from pathlib import Path

import pytest
from coursehub_tools.drive import client, reasons
from coursehub_tools.drive.client import MOST_WAIT_S, Client, LostError, RefusedError, SpentError, backoff
from coursehub_tools.drive.pacer import DOWNLOAD, EDIT, LIST, Bucket, Pacer, Rates, project_bucket
from coursehub_tools.drive.reasons import REASONS, Treatment
from coursehub_tools.drive.share import Share
from google.auth.exceptions import TransportError
from google.oauth2.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.paths import ROOT


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def pacer(time: Time, rates: Rates) -> Pacer:
    return Pacer(rates, clock=time.clock, sleep=time.sleep)


@given(st.lists(st.sampled_from([5, LIST, DOWNLOAD, EDIT]), min_size=1, max_size=200))
def test_no_minute_has_more_units_than_it_may(calls: list[int]) -> None:
    time = Time()
    rates = Rates(identity_units_per_minute=6000, writes_per_second=1e6)
    paced, times = pacer(time, rates), []
    for units in calls:
        paced.wait(units, write=False)
        times.append((time.now, units))
    for began, _units in times:
        within = sum(units for at, units in times if began <= at < began + 60)
        assert within <= 6000 + DOWNLOAD


def test_writes_come_evenly() -> None:
    time = Time()
    paced = pacer(time, Rates(writes_per_second=2))
    times = []
    for _turn in range(10):
        paced.wait(EDIT, write=True)
        times.append(time.now)
    assert [round(later - earlier, 6) for earlier, later in pairwise(times)] == [0.5] * 9
    before = time.now
    paced.wait(EDIT, write=False)
    assert time.now == before


def test_identities_share_what_their_project_may() -> None:
    time = Time()
    rates = Rates(project_units_per_minute=6000, writes_per_second=1e6)
    project = project_bucket(rates, time.clock)
    paced = [Pacer(rates, project, time.clock, time.sleep) for _identity in range(3)]
    for turn in range(60):
        paced[turn % 3].wait(DOWNLOAD, write=False)
    assert time.now - 1000 >= (60 * DOWNLOAD - DOWNLOAD) / 100 - 1


def write_rates(path: Path, **rates: float) -> None:
    whole = {"identity_units_per_minute": 6000, "project_units_per_minute": 6000, "writes_per_second": 2}
    path.write_text(json.dumps(whole | rates), encoding="utf-8")


def test_a_share_grows_while_the_process_is_at_work(tmp_path: Path) -> None:
    time, own, path = Time(), Rates(3000, 3000, 0.5, 7), tmp_path / "rates.json"
    share = Share(own, path, time.clock)
    paced = Pacer(own, None, time.clock, time.sleep, share)
    paced.wait(EDIT, write=True)
    paced.wait(EDIT, write=True)
    assert time.now == 1002
    write_rates(path)
    # It is read every five seconds: those until 1005 go at the pace of before.
    for _turn in range(2):
        paced.wait(EDIT, write=True)
    assert time.now == 1006
    for _turn in range(4):
        paced.wait(EDIT, write=True)
    assert time.now == 1008
    assert (share().bytes_per_day, share().project_units_per_minute) == (7, 6000)
    path.unlink()
    time.now += 5
    assert share() == own


def test_identities_share_what_their_project_has_become(tmp_path: Path) -> None:
    time, own, path = Time(), Rates(60_000, 6000, 1e6), tmp_path / "rates.json"
    write_rates(path, identity_units_per_minute=60_000, project_units_per_minute=24_000, writes_per_second=1e6)
    project, share = project_bucket(own, time.clock), Share(own, path, time.clock)
    paced = [Pacer(own, project, time.clock, time.sleep, share) for _identity in range(3)]
    for turn in range(120):
        paced[turn % 3].wait(DOWNLOAD, write=False)
    assert 58 <= time.now - 1000 <= 60


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"writes_per_second": 5}',
        '{"identity_units_per_minute": 1, "project_units_per_minute": 1, "writes_per_second": 0}',
        '{"identity_units_per_minute": 1, "project_units_per_minute": NaN, "writes_per_second": 1}',
        '{"identity_units_per_minute": null, "project_units_per_minute": 1, "writes_per_second": 1}',
    ],
)
def test_what_is_no_share_changes_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rates.json"
    path.write_text(text, encoding="utf-8")
    assert Share(Rates(1, 2, 3, 4), path, Time().clock)() == Rates(1, 2, 3, 4)


def test_what_came_in_before_a_change_came_in_at_the_rate_of_before() -> None:
    time = Time()
    bucket = Bucket(1, 100, time.clock)
    assert bucket.take(100) == 0
    time.now += 10
    bucket.change(5, 100)
    assert (bucket.take(10), bucket.take(10)) == (0, 2)


def test_all_of_an_identity_wait_when_one_is_told_to() -> None:
    time = Time()
    paced = pacer(time, Rates())
    paced.hold(7)
    paced.wait(5, write=False)
    assert time.now == 1007


@pytest.mark.parametrize("tries", [1, 2, 5, 10, 1000])
def test_waits_grow_up_to_a_minute(tries: int) -> None:
    longest = min(MOST_WAIT_S, 2.0 ** min(tries - 1, 10))
    assert longest / 2 <= backoff(tries, None) <= longest
    assert backoff(tries, 17) == 17


def waiting_client(time: Time) -> Client:
    return Client(
        Credentials(token="x"),
        pacer(time, Rates()),
        patience_s=600,
        clock=time.clock,
        sleep=time.sleep,
    )


def test_a_drive_that_is_away_for_three_minutes_is_waited_for() -> None:
    time = Time()

    def ask() -> str:
        if time.now < 1180:
            raise LostError(ConnectionRefusedError())
        return "here"

    assert waiting_client(time).persist(ask) == "here"
    assert time.now < 1180 + MOST_WAIT_S


def test_patience_has_an_end() -> None:
    time = Time()

    def ask() -> str:
        raise LostError(ConnectionRefusedError())

    with pytest.raises(LostError):
        waiting_client(time).persist(ask)
    assert 1600 <= time.now < 1600 + MOST_WAIT_S


def test_what_does_not_pass_is_asked_once() -> None:
    time, asked = Time(), []

    def ask() -> str:
        asked.append(1)
        raise client.refusal(403, {}, b'{"error": {"errors": [{"reason": "storageQuotaExceeded"}]}}')

    with pytest.raises(RefusedError, match="403 storageQuotaExceeded"):
        waiting_client(time).persist(ask)
    assert (len(asked), time.slept) == (1, [])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_certificate_that_is_not_trusted_is_said_at_once(wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    one = waiting_client(time)

    class Http:
        def request(self, *_words: object, **_more: object) -> None:
            bad = ssl.SSLCertVerificationError("self-signed certificate")
            raise TransportError(bad) if wrapped else bad

    monkeypatch.setattr(one, "_http", Http)
    with pytest.raises(RefusedError) as refused:
        one.persist(lambda: one.send("GET", "https://www.googleapis.com/", {}, None))
    assert not isinstance(refused.value, LostError)
    assert "a certificate that is not trusted" in refused.value.rule.remedy
    assert time.slept == []


def test_drive_says_how_long_to_wait() -> None:
    time, answers = Time(), [{"retry-after": "21"}, None]

    def ask() -> str:
        headers = answers.pop(0)
        if headers is not None:
            raise client.refusal(429, headers, b'{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}')
        return "here"

    assert waiting_client(time).persist(ask) == "here"
    assert time.now == 1021


@pytest.mark.parametrize(
    ("status", "reason", "treatment"),
    [
        (503, "", Treatment.RETRY),
        (429, "", Treatment.RETRY),
        (408, "", Treatment.RETRY),
        (500, "neverHeardOf", Treatment.RETRY),
        (401, "", Treatment.CONSENT),
        (404, "", Treatment.LOOK),
        (409, "", Treatment.EXISTS),
        (413, "", Treatment.FILE),
        (403, "", Treatment.STUDENT),
        (400, "", Treatment.STUDENT),
        (403, "userRateLimitExceeded", Treatment.RETRY),
    ],
)
def test_every_answer_has_a_treatment(status: int, reason: str, treatment: Treatment) -> None:
    assert reasons.rule(status, reason).treatment is treatment


@pytest.mark.parametrize(
    ("spent", "size", "treatment"),
    [
        # A file that no day has room for: `truncate -s 200G`, with a fourth of 750 GiB.
        (0, 200 << 30, Treatment.FILE),
        (100 << 30, 100 << 30, Treatment.FILE),
        (187 << 30, 1 << 30, Treatment.DAY),
    ],
)
def test_a_large_file_alone_does_not_end_the_day(spent: int, size: int, treatment: Treatment) -> None:
    time = Time()
    one = Client(Credentials(token="x"), pacer(time, Rates(bytes_per_day=187.5 * 2**30)))
    one.spend(spent)
    with pytest.raises(SpentError, match="by our own count") as refused:
        one.spend(size)
    assert refused.value.treatment is treatment
    if treatment is Treatment.FILE:
        # What has room goes on.
        one.spend(1 << 30)


def test_every_reason_says_what_to_do() -> None:
    assert {rule.treatment for rule in REASONS.values()} == set(Treatment)
    assert all(rule.remedy for rule in REASONS.values())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", ("", "")),
        (b"<html>", ("", "")),
        (b"[]", ("", "")),
        (b'{"error": {}}', ("", "")),
        (b'{"error": {"errors": [], "status": "ABORTED", "message": "m"}}', ("ABORTED", "m")),
        (b'{"error": "invalid_grant"}', ("invalid_grant", "")),
        (b'{"error": {"errors": [{"reason": "r"}], "message": "m"}}', ("r", "m")),
    ],
)
def test_answers_are_read_whatever_they_are(content: bytes, found: tuple[str, str]) -> None:
    assert reasons.read(content) == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("", None), ("soon", None), ("12", 12), ("Thu, 01 Jan 1970 00:01:40 GMT", 90)],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert reasons.retry_after(text, 10.0) == seconds


def test_the_documentation_has_every_reason() -> None:
    text = (ROOT / "images/tools/coursehub_tools/drive/README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 4]
    wanted = [f"| `{reason}` | {rule.treatment.value} | {rule.remedy} |" for reason, rule in REASONS.items()]
    assert [row for row in rows if row in wanted] == wanted
