"""Tokens are given to whom they belong, by Google's own library's assertions too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drive_emulator import jwt, oauth
from drive_emulator.accounts import PREFIX, Accounts, Client, ServiceAccount
from drive_emulator.clock import Clock
from drive_emulator.errors import DriveError
from google.auth import crypt
from google.auth import jwt as google_jwt

from tests.unit.lab.drive.services import ADA, ROBOT

DRIVE = PREFIX + "drive"
PRIVATE, PUBLIC = jwt.new_key()
OTHER = jwt.new_key()[0]


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.accounts = Accounts(self.clock)
        self.accounts.users[ADA] = None
        self.accounts.service_accounts[ROBOT] = ServiceAccount(ROBOT, "project", {"key-1": PUBLIC}, frozenset({DRIVE}))
        self.client = Client("client", "secret", "export")
        self.accounts.clients["client"] = self.client

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock())
        given = {"iss": ROBOT, "scope": DRIVE, "aud": oauth.AUDIENCES[0], "iat": now, "exp": now + 3600}
        return {name: value for name, value in (given | changes).items() if value is not None}

    def signed(self, key: str = PRIVATE, **changes: Any) -> dict[str, str]:
        token = google_jwt.encode(crypt.RSASigner.from_string(key, "key-1"), self.claims(**changes))
        return {"grant_type": oauth.JWT_GRANT, "assertion": token.decode()}

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        return oauth.token(self.accounts, form, self.clock(), 3600, "http://here/token")

    def refused(self, form: dict[str, str]) -> tuple[int, str]:
        with pytest.raises(oauth.OAuthError) as caught:
            self.token(form)
        return caught.value.status, caught.value.error


@pytest.fixture
def world() -> World:
    return World()


def test_a_service_account_gets_a_token(world: World) -> None:
    answer = world.token(world.signed())
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 3600, DRIVE)
    caller = world.accounts.identify(f"Bearer {answer['access_token']}")
    assert (caller.user, caller.app, caller.service_account) == (ROBOT, "project", True)


def test_a_token_for_the_emulators_own_address_is_taken(world: World) -> None:
    world.token(world.signed(aud="http://here/token"))


def test_delegation_makes_a_user_of_it(world: World) -> None:
    answer = world.token(world.signed(sub=ADA))
    caller = world.accounts.identify(f"Bearer {answer['access_token']}")
    assert (caller.user, caller.service_account) == (ADA, False)
    assert world.refused(world.signed(sub="nobody@example.org")) == (400, "invalid_grant")
    assert world.refused(world.signed(sub=ADA, scope=f"{DRIVE} {PREFIX}gmail")) == (401, "unauthorized_client")
    world.accounts.service_accounts[ROBOT].delegated = frozenset()
    assert world.refused(world.signed(sub=ADA)) == (401, "unauthorized_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other@project.iam.gserviceaccount.com"},
        {"iss": None},
        {"aud": "https://example.org/token"},
        {"exp": 0},
        {"exp": None},
        {"iat": 4_000_000_000, "exp": 4_000_003_600},
        {"iat": 0},
        {"key": OTHER},
    ],
)
def test_wrong_assertions_are_refused(world: World, changes: dict[str, Any]) -> None:
    assert world.refused(world.signed(**changes)) == (400, "invalid_grant")


def test_a_changed_assertion_is_refused(world: World) -> None:
    form = world.signed()
    head, _claims, signature = form["assertion"].split(".")
    changed = world.signed(key=OTHER, sub=ADA)["assertion"].split(".")[1]
    assert world.refused(form | {"assertion": f"{head}.{changed}.{signature}"}) == (400, "invalid_grant")


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "e30.e30.e30", "é.é.é", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_assertion_is_refused(world: World, text: str) -> None:
    assert world.refused({"grant_type": oauth.JWT_GRANT, "assertion": text}) == (400, "invalid_grant")


def test_without_scopes_there_is_no_token(world: World) -> None:
    assert world.refused(world.signed(scope=None)) == (400, "invalid_scope")
    assert world.refused({"grant_type": "password"}) == (400, "unsupported_grant_type")


def refresh(world: World, grant: str, **changes: str) -> dict[str, str]:
    form = {"grant_type": "refresh_token", "client_id": "client", "client_secret": "secret", "refresh_token": grant}
    return form | changes


def test_a_refresh_token_gives_access_tokens_until_it_is_revoked(world: World) -> None:
    caller = world.accounts.caller(ADA, "export", [PREFIX + "drive.file"])
    grant = world.accounts.grant(world.client, caller)
    access, sibling = (world.token(refresh(world, grant))["access_token"] for _turn in range(2))
    assert world.accounts.identify(f"Bearer {access}") == caller
    assert world.refused(refresh(world, grant, client_secret="wrong")) == (401, "invalid_client")
    assert world.refused(refresh(world, grant, client_id="other")) == (401, "invalid_client")
    assert world.refused(refresh(world, "1//other")) == (400, "invalid_grant")
    assert oauth.revoke(world.accounts, {"token": access}) == {}
    assert world.refused(refresh(world, grant)) == (400, "invalid_grant")
    for token in (access, sibling):
        with pytest.raises(DriveError) as caught:
            world.accounts.identify(f"Bearer {token}")
        assert (caught.value.status, caught.value.reason) == (401, "authError")
    with pytest.raises(oauth.OAuthError):
        oauth.revoke(world.accounts, {"token": access})


def test_revoking_a_user_ends_all_that_is_theirs(world: World) -> None:
    grant = world.accounts.grant(world.client, world.accounts.caller(ADA, "export", [DRIVE]))
    access = world.token(refresh(world, grant))["access_token"]
    robot = world.token(world.signed())["access_token"]
    assert world.accounts.revoke_user(ADA) == 2
    assert world.refused(refresh(world, grant)) == (400, "invalid_grant")
    with pytest.raises(DriveError):
        world.accounts.identify(f"Bearer {access}")
    assert world.accounts.identify(f"Bearer {robot}").user == ROBOT
    assert world.accounts.revoke_user(ROBOT) == 2
    assert world.refused(world.signed()) == (400, "invalid_grant")


def test_access_tokens_expire(world: World) -> None:
    access = world.token(world.signed())["access_token"]
    world.clock.advance(3601)
    with pytest.raises(DriveError) as caught:
        world.accounts.identify(f"Bearer {access}")
    assert caught.value.status == 401
    assert "WWW-Authenticate" in caught.value.headers()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic x"])
def test_nobody_is_nobody(world: World, header: str | None) -> None:
    with pytest.raises(DriveError) as caught:
        world.accounts.identify(header)
    assert caught.value.status == 401
    json.dumps(caught.value.body())
