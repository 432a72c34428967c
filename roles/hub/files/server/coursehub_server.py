"""The student's server: jupyterhub-singleuser, but for what it does when the hub is away, and what it calls activity.

Works with every image that has JupyterHub 5 or later in it: only what that needs itself is imported.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import random
from datetime import datetime, timezone
from typing import Any

from coursehub_authorisation import HubAwayError, StandingHubOAuth
from coursehub_kernels import ASK_S, Kernels
from coursehub_work import JOBS_S, Downloads, Jobs, terminal_works
from jupyter_server.base.handlers import AuthenticatedFileHandler
from jupyter_server.files.handlers import FilesHandler
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider, JupyterHubSingleUser
from jupyterhub.utils import isoformat
from traitlets import Float, default

# A hub that is back is not greeted by a thousand servers in the same second.
RETRY_S = (30.0, 90.0)
# By how much the pauses between two reports differ, so that a class does not come to report in step.
JITTER = 0.1
# Where Jupyter Server looks for what counts as activity besides requests and messages: settings whose names end so.
WORK = "coursehub_work_last_activity"
# What the hub sets, and each server has another one of.
PREFIX = "JUPYTERHUB_SERVICE_PREFIX"


class CourseIdentityProvider(JupyterHubIdentityProvider):
    """The hub's identity provider, whose answers stand while the hub is away."""

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return StandingHubOAuth.instance(parent=self)


class CourseServer(JupyterHubSingleUser):
    """The single-user extension, which neither needs the hub to start nor fails or ends without it.

    It reports work that nobody touches as activity, and what begins after a pause at once: who starts a cell in the
    last minute before a culler looks is not idle.
    """

    look_s = Float(5.0, help="Seconds between two looks for what is at work.").tag(config=True)
    ask_s = Float(ASK_S, help="Seconds after which a kernel is asked whether it is still at a cell.").tag(config=True)
    jobs_s = Float(JOBS_S, help="Seconds over which jobs are measured.").tag(config=True)

    _last_activity_sent: Any
    # Whether it was said already that what is at work can't be told.
    _puzzled = False

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return StandingHubOAuth.instance(parent=self)

    def load_config_file(self) -> None:
        """Choose the identity provider, after the base class has chosen its own."""
        super().load_config_file()
        self.config.ServerApp.identity_provider_class = CourseIdentityProvider
        # The same as long as the pod lives, and no longer. Jupyter Server's own is in a file of the container: one that
        # is started anew would know no browser any more, whatever the hub said of it.
        token = os.environ["JUPYTERHUB_API_TOKEN"].encode()
        self.config.ServerApp.cookie_secret = hmac.digest(token, b"coursehub cookies", "sha256")
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

    def initialize(self, args: Any = None) -> None:
        """Note downloads and kernels from the first one on."""
        self._downloads = Downloads()
        for handler_class in (AuthenticatedFileHandler, FilesHandler):
            self._downloads.watch(handler_class)
        super().initialize(args)
        self._kernels = Kernels(self.ask_s)
        self._kernels.watch(MappingKernelManager)
        self._jobs = Jobs(f"{PREFIX}={os.environ.get(PREFIX, '')}", self.jobs_s)

    async def keep_activity_updated(self) -> None:
        """Report, at most once in an interval, and only what is new. The base class reports an idle server as often."""
        if not self.hub_activity_url or not self.hub_activity_interval:
            return
        while True:
            try:
                await self.notify_activity()
            except Exception:
                self.log.exception("The activity could not be reported")
            pause = self.hub_activity_interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            due = asyncio.get_running_loop().time() + pause
            while asyncio.get_running_loop().time() < due or not self._news():
                await asyncio.sleep(self.look_s)
                await self._look()

    async def _look(self) -> None:
        """Note whether something is at work. What can't be told is no reason to end a server."""
        settings = self.serverapp.web_app.settings
        try:
            works = (
                self._jobs.compute()
                or await self._kernels.compute(self.serverapp.kernel_manager)
                or terminal_works(settings.get("terminal_manager"))
                or self._downloads.under_way()
            )
        except Exception:
            if not self._puzzled:
                self.log.exception("What is at work can't be told: it counts as something")
            self._puzzled = works = True
        if works:
            settings[WORK] = datetime.now(timezone.utc)  # noqa: UP017 - courses have older interpreters

    def _news(self) -> bool:
        return not self._last_activity_sent or self._last_activity() > self._last_activity_sent

    def _last_activity(self) -> datetime:
        last: datetime = self.serverapp.web_app.last_activity()
        return last if last.tzinfo else last.replace(tzinfo=timezone.utc)  # noqa: UP017 - courses have older interpreters

    async def notify_activity(self) -> None:
        """Tell the hub when the student was last active; as long as it does not answer, again and again.

        So a hub that comes back learns within a minute or so who was at work meanwhile, before a culler takes them for
        idle. The base class tries for a minute, with a line in the log for each try.
        """
        while True:
            last = self._last_activity()
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
