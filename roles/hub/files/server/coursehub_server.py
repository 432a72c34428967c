"""The student's server: jupyterhub-singleuser, but for what it does when the hub is away.

Works with every image that has JupyterHub 5 or later in it: only what that needs itself is imported.
"""

from __future__ import annotations

import asyncio
import json
import random
from datetime import timezone
from typing import Any

from coursehub_authorisation import HubAwayError, StandingHubOAuth
from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider, JupyterHubSingleUser
from jupyterhub.utils import isoformat
from traitlets import default

# A hub that is back is not greeted by a thousand servers in the same second.
RETRY_S = (30.0, 90.0)


class CourseIdentityProvider(JupyterHubIdentityProvider):
    """The hub's identity provider, whose answers stand while the hub is away."""

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return StandingHubOAuth.instance(parent=self)


class CourseServer(JupyterHubSingleUser):
    """The single-user extension, which neither needs the hub to start nor fails or ends without it."""

    _last_activity_sent: Any

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return StandingHubOAuth.instance(parent=self)

    def load_config_file(self) -> None:
        """Choose the identity provider, after the base class has chosen its own."""
        super().load_config_file()
        self.config.ServerApp.identity_provider_class = CourseIdentityProvider
        self.serverapp.update_config(self.config)

    async def check_hub_version(self) -> None:
        """Ask the hub once, for the log.

        The base class ends the server where the hub does not answer, and so a server whose container is started anew
        while the hub is away.
        """
        try:
            await self.hub_auth.ask_hub("GET", self.hub_auth.api_url, self.hub_auth.api_token)
        except HubAwayError:
            # Told in the log by the one who asked.
            return

    async def notify_activity(self) -> None:
        """Tell the hub when the student was last active; as long as it does not answer, again and again.

        So a hub that comes back learns within a minute or so who was at work meanwhile, before a culler takes them for
        idle. The base class tries for a minute, with a line in the log for each try.
        """
        while True:
            last = self.serverapp.web_app.last_activity()
            if not last.tzinfo:
                last = last.replace(tzinfo=timezone.utc)  # noqa: UP017 - courses have older interpreters
            if self._last_activity_sent and last < self._last_activity_sent:
                return
            try:
                status, _text = await self._send_activity(isoformat(last))
            except HubAwayError:
                await asyncio.sleep(random.uniform(*RETRY_S))  # noqa: S311 - no secret
                continue
            if status >= 400:
                self.log.warning("The hub refused a report of activity with %d", status)
            else:
                self._last_activity_sent = last
            return

    async def _send_activity(self, moment: str) -> Any:
        body = {"servers": {self.server_name: {"last_activity": moment}}, "last_activity": moment}
        return await self.hub_auth.ask_hub(
            "POST", self.hub_activity_url, self.hub_auth.api_token, body=json.dumps(body)
        )


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__, "app": CourseServer}]
