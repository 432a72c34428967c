"""Drive without a key: by the cluster's own token, and Google's three places on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httplib2
import pytest
from coursehub_tools.drive import client as client_module
from coursehub_tools.drive import credentials, federation
from coursehub_tools.drive.client import Client, LostError, RefusedError
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.drive.reasons import Treatment
from coursehub_tools.result import FailedError

POOL = "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/course/providers/cluster"
ACCOUNT = "exports@course-1.iam.gserviceaccount.com"
IAM = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}"
STS, OAUTH = "https://sts.googleapis.com/v1/token", "https://oauth2.googleapis.com/token"
DRIVE = "https://www.googleapis.com/drive/v3/about?fields=user"
Values = dict[str, Any]


class Google:
    """Answers in the place of every connection; nobody else is to be asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Values]] = []
        self.expires = "2999-01-01T00:00:00Z"
        # A refusal by the address that it comes from.
        self.refuses: dict[str, tuple[int, bytes]] = {}
        self.timeout = None

    def request(self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **_more: Any) -> Any:
        text = body.decode() if isinstance(body, bytes) else body or ""
        form = {name: values[0] for name, values in parse_qs(text).items()} if "=" in text else json.loads(text or "{}")
        bearer = {name.lower(): value for name, value in (headers or {}).items()}.get("authorization", "")
        self.asked.append((uri, {**form, "bearer": str(bearer).removeprefix("Bearer ")}))
        if uri in self.refuses:
            return self._answer(*self.refuses[uri])
        answers: dict[str, Values] = {
            STS: {"access_token": "of-the-pool", "expires_in": 3600, "token_type": "Bearer"},
            f"{IAM}:generateAccessToken": {"accessToken": "of-the-account", "expireTime": self.expires},
            f"{IAM}:signJwt": {"signedJwt": "signed-by-google"},
            OAUTH: {"access_token": "of-the-user", "expires_in": 3600},
            DRIVE: {"user": {}},
        }
        return self._answer(200, json.dumps(answers[uri]).encode())

    @staticmethod
    def _answer(status: int, content: bytes) -> tuple[httplib2.Response, bytes]:
        return httplib2.Response({"status": str(status), "content-type": "application/json"}), content


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Google:
    made = Google()
    monkeypatch.setattr(client_module, "build_http", lambda: made)
    return made


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "token"
    path.write_text("of-the-cluster", encoding="utf-8")
    monkeypatch.setattr(federation, "TOKEN", path)
    return path


@pytest.fixture
def usual(token: Path) -> Values:
    """What gcloud writes."""
    return {
        "universe_domain": "googleapis.com",
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": STS,
        "credential_source": {"file": str(token), "format": {"type": "text"}},
        "service_account_impersonation_url": f"{IAM}:generateAccessToken",
    }


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def loaded(info: Values, subject: str = "") -> Any:
        path = tmp_path / "key.json"
        path.write_text(json.dumps(info), encoding="utf-8")
        return credentials.load(path, subject, "ada")

    return loaded


def asking(found: Any) -> Client:
    return Client(found, Pacer(Rates()), patience_s=0, sleep=lambda _seconds: None)


def ask(client: Client) -> int:
    return client.send("GET", DRIVE, {}, None).status


def test_a_shared_drive_is_asked_as_the_service_account(google: Google, usual: Values, load: Any) -> None:
    assert ask(asking(load(usual))) == 200
    (sts, exchange), (iam, wanted), (drive, asked) = google.asked
    assert (sts, iam, drive) == (STS, f"{IAM}:generateAccessToken", DRIVE)
    assert (exchange["subject_token"], exchange["audience"]) == ("of-the-cluster", POOL)
    assert (wanted["scope"], wanted["bearer"]) == ([credentials.DRIVE], "of-the-pool")
    assert asked["bearer"] == "of-the-account"


def test_a_user_s_drive_is_asked_by_a_signature_of_google_s(google: Google, usual: Values, load: Any) -> None:
    assert ask(asking(load(usual, "ada@uni.example"))) == 200
    (sts, _exchange), (sign, wanted), (oauth, grant), (drive, asked) = google.asked
    assert (sts, sign, oauth, drive) == (STS, f"{IAM}:signJwt", OAUTH, DRIVE)
    claims = json.loads(wanted["payload"])
    assert (claims["iss"], claims["sub"], claims["scope"]) == (ACCOUNT, "ada@uni.example", credentials.DRIVE_FILE)
    assert (wanted["bearer"], grant["assertion"], asked["bearer"]) == ("of-the-pool", "signed-by-google", "of-the-user")


def test_the_token_is_read_anew_as_the_kubelet_writes_it_anew(
    google: Google, usual: Values, load: Any, token: Path
) -> None:
    google.expires = "2000-01-01T00:00:00Z"
    google.refuses[STS] = (200, b'{"access_token": "of-the-pool", "expires_in": 0, "token_type": "Bearer"}')
    client = asking(load(usual))
    ask(client)
    token.write_text("a-new-one", encoding="utf-8")
    ask(client)
    assert [asked["subject_token"] for uri, asked in google.asked if uri == STS] == ["of-the-cluster", "a-new-one"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"token_url": "https://sts.googleapis.com.evil.example/v1/token"}, "has not Google's address for tokens"),
        ({"token_url": "http://sts.googleapis.com/v1/token"}, "has not Google's address for tokens"),
        ({"token_url": None}, "has not Google's address for tokens"),
        ({"universe_domain": "evil.example"}, "has not Google's address for tokens"),
        ({"credential_source": {"executable": {"command": "evil"}}}, "does not take its token from"),
        ({"credential_source": {"url": "http://169.254.169.254/evil"}}, "does not take its token from"),
        ({"credential_source": {"file": "/homes/0/evil"}}, "does not take its token from"),
        ({"credential_source": {"file": "TOKEN", "executable": {"command": "evil"}}}, "does not take its token from"),
        ({"credential_source": {"file": "TOKEN", "format": {"type": "json"}}}, "does not take its token from"),
        ({"credential_source": {"environment_id": "aws1"}}, "does not take its token from"),
        ({"credential_source": None}, "does not take its token from"),
        ({"service_account_impersonation_url": None}, "names no service account"),
        (
            {"service_account_impersonation_url": f"https://evil.example/{ACCOUNT}:generateAccessToken"},
            "has not Google",
        ),
        ({"service_account_impersonation_url": f"{IAM}/../evil:generateAccessToken"}, "has not Google's address for a"),
        ({"service_account_impersonation_url": f"{IAM}:generateAccessToken?evil"}, "has not Google's address for a"),
        ({"service_account_impersonation_url": 5}, "has not Google's address for a"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "is for no provider of the kind OIDC"),
        ({"audience": ""}, "is for no provider of the kind OIDC"),
    ],
)
def test_a_configuration_that_leads_elsewhere_is_refused(
    google: Google, usual: Values, load: Any, token: Path, change: Values, sentence: str
) -> None:
    info = json.loads(json.dumps({**usual, **change}).replace('"TOKEN"', json.dumps(str(token))))
    for subject in ("", "ada@uni.example"):
        with pytest.raises(FailedError) as caught:
            load(info, subject)
        assert sentence in str(caught.value)
        assert str(caught.value).startswith("ada: the credentials' file")
        assert "evil" not in str(caught.value)
    assert google.asked == []


def test_a_job_without_the_token_says_what_to_set(usual: Values, load: Any, token: Path) -> None:
    token.unlink()
    with pytest.raises(FailedError, match="set workload_identity_audience"):
        load(usual)


@pytest.mark.parametrize(
    ("place", "status", "content", "sentence", "remedy"),
    [
        (
            STS,
            400,
            b'{"error": "invalid_grant", "error_description": "The audience does not match"}',
            "Drive refuses with 400 invalid_grant (The audience does not match)",
            "Google does not take the cluster's token",
        ),
        (
            f"{IAM}:generateAccessToken",
            403,
            b'{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "getAccessToken denied"}}',
            "Drive refuses with 403 PERMISSION_DENIED (getAccessToken denied)",
            "let the exports' identity act for the service account",
        ),
        (
            f"{IAM}:signJwt",
            403,
            b'{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "signJwt denied"}}',
            "Drive refuses with 403 PERMISSION_DENIED (signJwt denied)",
            "for delegation Service Account Token Creator",
        ),
    ],
)
def test_a_refusal_on_the_way_says_whose_it_is(
    google: Google, usual: Values, load: Any, place: str, status: int, content: bytes, sentence: str, remedy: str
) -> None:
    google.refuses[place] = (status, content)
    with pytest.raises(RefusedError) as caught:
        ask(asking(load(usual, "ada@uni.example" if place.endswith("signJwt") else "")))
    assert str(caught.value) == sentence
    assert remedy in caught.value.rule.remedy
    assert caught.value.treatment is Treatment.CONSENT
    assert "of-the" not in str(caught.value)


def test_a_user_that_is_not_delegated_to_is_refused_as_with_a_key(google: Google, usual: Values, load: Any) -> None:
    google.refuses[OAUTH] = (401, b'{"error": "unauthorized_client", "error_description": "Client is unauthorized"}')
    with pytest.raises(RefusedError) as caught:
        ask(asking(load(usual, "ada@uni.example")))
    assert "delegate the scope to the service account" in caught.value.rule.remedy


@pytest.mark.parametrize("place", [STS, f"{IAM}:generateAccessToken"])
@pytest.mark.parametrize(
    "content",
    [
        b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}}',
        b'{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "later"}}',
        b"<html>Bad gateway",
        b"{}",
    ],
)
def test_what_passes_is_waited_for(google: Google, usual: Values, load: Any, place: str, content: bytes) -> None:
    google.refuses[place] = (503, content)
    with pytest.raises(LostError):
        ask(asking(load(usual)))
    del google.refuses[place]
    assert ask(asking(load(usual))) == 200
