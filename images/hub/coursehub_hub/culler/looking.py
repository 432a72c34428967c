"""Look at all servers now and then, and end what is over its limit."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from jupyterhub_idle_culler import cull_idle, parse_date
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from .rules import Rules, parse

# Requests to the hub at a time: at night all servers end at once, and the hub has others to serve.
CONCURRENCY = 5
# The most that JupyterHub gives in one answer.
PAGE = 200
# A hub that lists a thousand servers while a class starts.
REQUEST_TIMEOUT_S = 60
LOG = logging.getLogger("coursehub.culler")


async def members(url: str, token: str, rules: Rules) -> dict[str, list[str]]:
    """Return which of the groups that have limits of their own each user is in; nobody is in one that is not there."""
    found: dict[str, list[str]] = {}
    for group in rules.groups:
        address = f"{url}/groups/{quote(group, safe='')}"
        try:
            answer = await AsyncHTTPClient().fetch(
                address, headers={"Authorization": f"token {token}"}, request_timeout=REQUEST_TIMEOUT_S
            )
        except HTTPClientError as error:
            if error.code != 404:
                raise
            continue
        for user in json.loads(answer.body)["users"]:
            found.setdefault(user, []).append(group)
    return found


def ended(
    rules: Rules,
    groups: Mapping[str, list[str]],
    *,
    inactive: timedelta | None,
    server: Mapping[str, Any],
    **_more: Any,
) -> bool:
    """Tell the library whether a server is to be ended, of which the hub says this."""
    now = datetime.now(UTC)
    age = now - parse_date(server["started"]) if server.get("started") else timedelta(0)
    # A name has no slash; what is behind it is the name of the server, which the default one does not have.
    user = server["full_name"].partition("/")[0]
    idle_s = age.total_seconds() if inactive is None else inactive.total_seconds()
    return rules.ended(groups.get(user, []), idle_s, age.total_seconds(), now)


async def look(url: str, token: str, rules: Rules) -> None:
    """End what is over its limit now."""
    groups = await members(url, token, rules)
    arbiter = functools.partial(ended, rules, groups)
    await cull_idle(
        url,
        token,
        inactive_limit=0,
        logger=LOG,
        concurrency=CONCURRENCY,
        api_page_size=PAGE,
        cull_arbiter=arbiter,
    )


async def run(values: Mapping[str, Any], url: str, token: str) -> None:
    """Look every so often, for ever."""
    rules = parse(values)
    while True:
        try:
            await look(url, token, rules)
        # Whatever it is, the next look may do: a hub that is busy, or was just ended.
        except Exception as error:
            LOG.warning("The servers could not be looked at: %s", error)
        await asyncio.sleep(values["every"])
