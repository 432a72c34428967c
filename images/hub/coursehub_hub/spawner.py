"""A student's server, as the hub starts it."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from jupyterhub.utils import maybe_future
from kubespawner import KubeSpawner
from traitlets import Dict, Integer, Unicode

from . import unfinished
from .culler import notice, rules
from .events import ByPod
from .failures import STUDENTS, Failures, NoRoomError, has_no_room
from .line import Line
from .patience import patiently, waited_since

FULL_MESSAGE = (
    "Your disk is nearly full and can't grow any more. Your server starts, but saving may fail: delete what you don't"
    " need, or ask the staff for more room."
)
WAITING_MESSAGE = "Many servers start just now. You are number {place} in line; this page tells when it is your turn."
NODE_MESSAGE = (
    "Your server waits for a machine that has room for it. A new one takes a few minutes to start; this page goes on by"
    " itself."
)
# Of a server's pod: what servers cost is told by it.
COURSE = "coursehub.jupyterhub/course"
# Of a server's pod: the groups of its student, as JSON. Whether a class's students are there already is told by it.
GROUPS = "coursehub.jupyterhub/groups"
# Of a server's pod: when its student asked for it. How long students wait is told by it.
ASKED = "coursehub.jupyterhub/asked"
# How much earlier than its own time limit a start may be cancelled by JupyterHub's, which begins before.
CANCELLED_S = 15
# How often the page tells a student's place.
PLACE_S = 2
# How long a watch that has given up rests before it is begun again.
REST_S = 5
# The server ends each watch after 10 s by itself. With KubeSpawner's 60 s a silent server is not noticed for a minute.
WATCH_TIMEOUT_S = 20


class Enduring:
    """A watch on the cluster that does not end, and goes on seconds after the API server can be reached again.

    KubeSpawner's waits longer and longer for one that is away, and gives up after 51 s: silently, where the hub has one
    namespace. The hub calls itself healthy then, and each start fails when its time is over.
    """

    _stopping: bool
    log: Any

    async def _list_and_update(self, *version: str | None) -> Any:
        """Each round of a watch begins with this."""
        return await patiently(math.inf, super()._list_and_update, *version)  # type: ignore[misc]

    async def _watch_and_update(self) -> None:
        while not self._stopping:
            await super()._watch_and_update()  # type: ignore[misc]
            if not self._stopping:
                self.log.warning("The watch has ended; it begins again in %d s", REST_S)
                await asyncio.sleep(REST_S)


@functools.cache
def enduring(reflector: type) -> type:
    """Return a class of KubeSpawner's watches, as one that does not end."""
    return type(reflector.__name__, (Enduring, reflector), {})


class TakenAwayError(Exception):
    """The pod of a server that starts is gone.

    For 40 s pods are put onto a node that is lost. When it is taken out of service they are removed, and KubeSpawner
    would wait for them until the start's time is over.
    """


class CourseSpawner(KubeSpawner):
    """KubeSpawner, whose starts wait for their turn and for an API server that is away.

    It tells the student of a full disk; ``disk_is_full`` is set before each start.
    """

    concurrent_starts = Integer(64, help="How many servers start at the same time; the others wait in line.").tag(
        config=True
    )
    cull = Dict(help="How long servers last, as the culler is told.").tag(config=True)
    courses = Dict(help="The courses of the hub's groups, for the label of their servers.").tag(config=True)
    hub_api = Unicode(help="Where the hub's API is, for the hub itself.").tag(config=True)
    people_token = Unicode(help="A token that may start servers.").tag(config=True)
    disk_is_full = False
    # Whether the pod has been there since this start began; None while none is under way.
    _pod_seen: bool | None = None
    # Its start was under way when another hub died.
    _is_unfinished = False
    _asking: asyncio.Task[None] | None = None
    # One for the hub, whichever server starts first.
    _line: Line | None = None
    failures = Failures()
    by_pod = ByPod()
    _asked = ""

    @property
    def line(self) -> Line:
        """Where all servers of this hub wait for their turn."""
        if CourseSpawner._line is None:
            CourseSpawner._line = Line(self.concurrent_starts)
        return CourseSpawner._line

    async def run_pre_spawn_hook(self) -> None:
        """Wait for one's turn, which the start's time limit does not count; then prepare."""
        self._asked = datetime.now(UTC).isoformat(timespec="seconds")
        await self.line.enter(self)
        try:
            await maybe_future(super().run_pre_spawn_hook())
        except BaseException:
            self.line.leave(self)
            raise

    async def start(self) -> Any:
        """Start the server; then, at the latest, it is the next one's turn.

        Raises NoRoomError where it got no node in its time.
        """
        begun = time.monotonic()
        self.failures.begin()
        try:
            address = await self._started()
        except BaseException as error:
            # JupyterHub cancels a start whose time is over, as it does one that a student gives up.
            if isinstance(error, Exception) or time.monotonic() - begun >= self.start_timeout - CANCELLED_S:
                if self._has_no_room():
                    # In the place of a cancellation too: JupyterHub hands it on, and the student reads it.
                    raise NoRoomError from error
                # Of an API server that was away meanwhile no hub is to blame, and without it no other one takes over.
                if not waited_since(begun):
                    self._note_failure()
            raise
        finally:
            self.line.leave(self)
        self.failures.succeeded()
        return address

    async def _started(self) -> Any:
        """Start the server, and again where its pod was taken away meanwhile. JupyterHub's limit is over all tries."""
        while True:
            self._pod_seen = False
            try:
                return await super().start()
            except TakenAwayError:
                self.log.warning("The pod of %s was taken away while it started: making it again", self.user.name)
            finally:
                self._pod_seen = None

    async def poll(self) -> int | None:
        """Tell how the server ended, None while it runs or starts.

        One that only waited in line when a hub died is asked for again: there is nothing that could go on.
        """
        # Before, as KubeSpawner gives an address to a server that it finds running.
        left = unfinished.is_unfinished(self)
        status: int | None = await super().poll()
        # This one goes on, or the hub starts one anew: never both.
        self._is_unfinished = left and status is None
        if left and status is not None and unfinished.is_fresh(self):
            self._asking = asyncio.ensure_future(unfinished.start_anew(self, self.hub_api, self.people_token))
        return status

    async def get_url(self) -> str:
        """Return where the server is. One that another hub had begun to start is waited for."""
        if self._is_unfinished:
            self._is_unfinished = False
            await unfinished.take_on(self, self._pod)
        return str(await super().get_url())

    async def get_pod_manifest(self) -> Any:
        """Return the pod as KubeSpawner makes it, with when it was asked for, its student's groups, and its course: of
        several groups' the first one's, by name.
        """
        pod = await super().get_pod_manifest()
        if self._asked:
            pod.metadata.annotations[ASKED] = self._asked
        groups = sorted(self._groups())
        if groups:
            pod.metadata.annotations[GROUPS] = json.dumps(groups)
        course = next((self.courses[group] for group in groups if group in self.courses), "")
        if course:
            pod.metadata.labels[COURSE] = course
        return pod

    def is_pod_running(self, pod: Any) -> bool:
        """Tell whether a start has come to its end, as KubeSpawner asks while it waits.

        One that finds no node gives its place in line back: it is no work for the hub, and the next one may have room,
        or is to be ordered for too. Whoever orders nodes else sees no more pods than there are places.
        """
        if has_no_room(pod):
            self.line.leave(self)
        if self._pod_seen is not None:
            if pod is None and self._pod_seen:
                raise TakenAwayError
            # The watch may still have the student's last one, on its way out.
            self._pod_seen = self._pod_seen or (pod is not None and "deletionTimestamp" not in pod["metadata"])
        return bool(super().is_pod_running(pod))

    def _groups(self) -> list[str]:
        return [group.name for group in self.user.groups]

    def _how_long(self) -> str:
        """Return how long this server lasts, empty where it is not ended by the culler."""
        return notice.for_one(rules.parse(self.cull), self._groups()) if self.cull else ""

    def _pod(self) -> Any:
        """Return what the watch knows of the server's pod. The watch is begun by the first start."""
        pods = self.pod_reflector.pods if self.pod_reflector else {}
        return pods.get(f"{self.namespace}/{self.pod_name}")

    def _has_no_room(self) -> bool:
        return has_no_room(self._pod())

    def _note_failure(self) -> None:
        """End the hub where nobody's server starts any more: a fresh one may, and students at work do not notice."""
        if self.failures.failed(self.user.name):
            self.log.critical(
                "Servers of %d students in a row did not start: this hub ends, a fresh one begins", STUDENTS
            )
            os.kill(os.getpid(), signal.SIGTERM)

    async def stop(self, now: bool = False) -> None:
        """Stop the server, or what there is of it."""
        self.line.leave(self)
        await super().stop(now)

    async def _start_reflector(self, kind: str, reflector_class: type, replace: bool = False, **more: Any) -> Any:
        more = {"request_timeout": WATCH_TIMEOUT_S, **more}
        return await super()._start_reflector(kind, enduring(reflector_class), replace, **more)

    @property
    def event_reflector(self) -> Any:
        """The watch of events, as far as they are this pod's; None before it is begun."""
        watch = super().event_reflector
        return watch and SimpleNamespace(events=self.by_pod.of(self.pod_name, watch))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the page says while the server starts."""
        while place := self.line.place(self):
            yield {"progress": 0, "message": WAITING_MESSAGE.format(place=place)}
            await asyncio.sleep(PLACE_S)
        if told := self._how_long():
            yield {"progress": 1, "message": told}
        if self.disk_is_full:
            yield {"progress": 1, "message": FULL_MESSAGE}
        async for event in super().progress():
            if not self._has_no_room():
                yield event
                continue
            # The scheduler's and the engine's own words are for the staff. KubeSpawner's, without an event, say that it
            # takes longer than expected, which it does not.
            if "raw_event" in event:
                yield event
            yield {**event, "message": NODE_MESSAGE}
