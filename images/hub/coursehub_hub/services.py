"""What asks the hub beside its users, and who may do what: services, and roles that go with groups."""

from __future__ import annotations

from typing import Any

from jupyterhub.roles import get_default_roles

# The role whose members may do everything that JupyterHub's own ``admin`` may. That one is left alone: named in the
# configuration, it is taken from everyone who is not named with it, each time that JupyterHub starts.
ADMINISTRATOR = "administrator"
# For the modules hub_server, hub_user and hub_roster.
PEOPLE_SCOPES = ["admin:users", "admin:groups", "servers"]


def apply(c: Any, values: dict[str, Any], secrets: dict[str, str]) -> None:
    """Declare them. A role belongs to the group of its name: who is in it is the roster's to say, and no restart's."""
    administrator = next(role["scopes"] for role in get_default_roles() if role["name"] == "admin")
    roles = {**values["roles"], ADMINISTRATOR: administrator}
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
