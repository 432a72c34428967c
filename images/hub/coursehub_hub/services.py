"""What asks the hub beside its users, and who may do what: services, and roles that go with groups."""

from __future__ import annotations

import json
import sys
from typing import Any

from jupyterhub.roles import get_default_roles

from .culler import rules

# The role whose members may do everything that JupyterHub's own ``admin`` may. That one is left alone: named in the
# configuration, it is taken from everyone who is not named with it, each time that JupyterHub starts.
ADMINISTRATOR = "administrator"
# For the modules hub_server, hub_user and hub_roster.
PEOPLE_SCOPES = ["admin:users", "admin:groups", "servers"]
# Not by the hub's Service, which leads to the other hub where one has just taken over.
HUB_API = "http://127.0.0.1:8081/hub/api"
# Before it looks for the first time. Servers report every 300 s; after an outage of the hub, within 90 s of its return.
SETTLE_S = 600


def apply(c: Any, values: dict[str, Any], secrets: dict[str, str]) -> None:
    """Declare them. A role belongs to the group of its name: who is in it is the roster's to say, and no restart's."""
    administrator = next(role["scopes"] for role in get_default_roles() if role["name"] == "admin")
    roles = {**values["roles"], ADMINISTRATOR: administrator}
    # The hub asks itself for what another one left unfinished.
    c.CourseSpawner.hub_api = HUB_API
    c.CourseSpawner.people_token = secrets["people-token"]
    c.JupyterHub.services = [
        {"name": "disks", "api_token": secrets["disks-token"]},
        {"name": "people", "api_token": secrets["people-token"]},
    ]
    c.JupyterHub.load_roles = [
        # What works on disks may stop a server, and nothing else.
        {"name": "disks", "services": ["disks"], "scopes": ["delete:servers"]},
        {"name": "people", "services": ["people"], "scopes": PEOPLE_SCOPES},
        *({"name": name, "groups": [name], "scopes": scopes} for name, scopes in roles.items()),
    ]
    if not rules.parse(values["cull"]).empty:
        _culler(c, values["cull"])


def _culler(c: Any, cull: dict[str, Any]) -> None:
    """Let the hub run what ends idle servers, with the rights for that: it sees servers, and who is in a group of which
    the members have other limits.
    """
    environment = {"COURSEHUB_CULL": json.dumps({"settle": SETTLE_S, **cull}), "COURSEHUB_HUB_API": HUB_API}
    c.JupyterHub.services.append(
        {
            "name": "culler",
            "command": [sys.executable, "-m", "coursehub_hub.culler"],
            "environment": environment,
            # As whom the hub runs; with a name it would try to become that user, for which its pod has no right.
            "user": "",
        }
    )
    scopes = ["list:users", "read:servers", "delete:servers", *(f"read:groups!group={name}" for name in cull["groups"])]
    c.JupyterHub.load_roles.append({"name": "culler", "services": ["culler"], "scopes": scopes})
