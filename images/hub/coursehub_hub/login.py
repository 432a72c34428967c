"""How students log in."""

from __future__ import annotations

import json
from typing import Any

CLASSES = {
    "dummy": "jupyterhub.auth.DummyAuthenticator",
    "google": "oauthenticator.google.GoogleOAuthenticator",
    "oidc": "oauthenticator.generic.GenericOAuthenticator",
    "github": "oauthenticator.github.GitHubOAuthenticator",
}


def apply(c: Any, values: dict[str, Any], secrets: dict[str, str]) -> None:
    """Choose the authenticator and give it its settings.

    Raises KeyError for an authenticator that is none of ours; the role has refused it before.
    """
    name = CLASSES[values["authenticator"]]
    c.JupyterHub.authenticator_class = name
    c.Authenticator.allow_all = values["allow_all"]
    c.Authenticator.allowed_users = set(values["allowed_users"])
    # By default JupyterHub decides this by whether anybody is named in allowed_users.
    c.Authenticator.allow_existing_users = values["allow_existing_users"]
    c.Authenticator.admin_users = set(values["admin_users"])
    # Needed for what a provider tells of a student's groups; kept encrypted.
    c.Authenticator.enable_auth_state = values["authenticator"] != "dummy"
    section = c[name.rpartition(".")[2]]
    for setting, value in {**values["auth"], **json.loads(secrets["auth.json"])}.items():
        section[setting] = value
    if values["authenticator"] != "dummy" and values["public_url"]:
        section.setdefault("oauth_callback_url", values["public_url"].rstrip("/") + "/hub/oauth_callback")
