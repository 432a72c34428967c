"""Look at all servers now and then, and end what is over its limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub_idle_culler import cull_idle, parse_date

from .asking import Hub
from .rules import Rules, parse

# The most that JupyterHub gives in one answer.
PAGE = 200
LOG = logging.getLogger("coursehub.culler")


def over(rules: Rules, groups: Mapping[str, list[str]], server: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a server is to be ended, of which the hub says this."""
    age = now - parse_date(server["started"]) if server.get("started") else timedelta(0)
    idle = now - parse_date(server["last_activity"]) if server.get("last_activity") else age
    return rules.ended(groups.get(_names(server)[0], []), idle.total_seconds(), age.total_seconds(), now)


def _names(server: Mapping[str, Any]) -> tuple[str, str]:
    """Return the user's name, and the server's, which the default one does not have. A user's name has no slash."""
    user, _slash, name = server["full_name"].partition("/")
    return user, name


async def look(hub: Hub, rules: Rules) -> None:
    """End what is over its limit now.

    The library lists who may be. It would end them one after the other, by what it heard when it began: a lecture's
    servers, which all go idle together, took it an hour, and who came back meanwhile was ended in the middle of a cell.
    """
    groups: dict[str, list[str]] = {}
    for group in rules.groups:
        for user in await hub.members(group):
            groups.setdefault(user, []).append(group)
    listed: list[Mapping[str, Any]] = []

    def note(*, server: Mapping[str, Any], **_more: Any) -> bool:
        if over(rules, groups, server, datetime.now(UTC)):
            listed.append(server)
        return False

    await cull_idle(hub.url, hub.token, inactive_limit=0, logger=LOG, api_page_size=PAGE, cull_arbiter=note)
    await asyncio.gather(*(_end(hub, rules, groups, *_names(server)) for server in listed))


async def _end(hub: Hub, rules: Rules, groups: Mapping[str, list[str]], user: str, name: str) -> None:
    """End a server if it is over its limit still. One that can't be ended waits for the next look."""
    async with hub.places:
        try:
            server = await hub.server(user, name)
            if server.get("ready") and not server.get("pending") and over(rules, groups, server, datetime.now(UTC)):
                LOG.info("Ending the server of %s, last active %s", server["full_name"], server["last_activity"])
                await hub.end(user, name)
        # Whatever it is: one server does not hold up the others.
        except Exception as error:
            LOG.warning("The server of %s could not be ended: %s", f"{user}/{name}", error)


async def run(values: Mapping[str, Any], url: str, token: str) -> None:
    """Look every so often, for ever."""
    rules, hub = parse(values), Hub(url, token)
    while True:
        try:
            await look(hub, rules)
        # Whatever it is, the next look may do: a hub that is busy, or was just ended.
        except Exception as error:
            LOG.warning("The servers could not be looked at: %s", error)
        await asyncio.sleep(values["every"])
