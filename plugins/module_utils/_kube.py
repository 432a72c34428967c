# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A thin client for the Kubernetes API: raw JSON, explicit kubeconfig and context.

Raw JSON, because building typed models of a thousand objects takes longer than the requests.
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

try:
    import yaml
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config
    from urllib3.exceptions import HTTPError
except ImportError:
    HAS_KUBERNETES = False
    KUBERNETES_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_KUBERNETES = True
    KUBERNETES_IMPORT_ERROR = None

# Seconds to wait for one answer. The API server's own limit for a request is 60.
REQUEST_TIMEOUT_S = 65
# What a request has all the same that is made when its caller's time is over: what is there answers in one or two.
BRIEF_S = 5
# How often a request is made again that the server asks to repeat later.
ATTEMPTS = 30
# Connections that are kept open: _bulk.WORKERS at once, and a watch and a lock beside them. By default it is five for
# each core, and the others of a bulk would greet the server anew with each request.
CONNECTIONS = 24
# How long a server that has answered before may be away or stumble, and how often it is asked meanwhile. One that a
# kubelet restarts comes half a minute after its manifest.
OUTAGE_S = 180
OUTAGE_INTERVAL_S = 1.0
# How long after that a refusal may be because the server has not read yet who may do what.
SETTLING_S = 15
# How often a server that starts is asked whether it is ready.
READY_INTERVAL_S = 0.5
FIELD_MANAGER = "coursehub"

Object = dict[str, Any]
# By this name, because the class has a method called list.
Objects = list[Object]

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "required": True},
}


class ApiError(CoursehubError):
    """The API refused a request; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BrokenOffError(CoursehubError):
    """The answer to a request that was granted did not come whole."""


def check_context(kubeconfig: str, context: str) -> None:
    """Raise CoursehubError where the kubeconfig or the context in it is missing."""
    if not os.path.isfile(kubeconfig):
        raise CoursehubError(
            f"the kubeconfig {kubeconfig} does not exist: run the cluster role first, or set coursehub_kubeconfig"
        )
    try:
        with open(kubeconfig, encoding="utf-8") as file:
            content = yaml.safe_load(file) or {}
        names = [entry["name"] for entry in content.get("contexts") or []]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise CoursehubError(f"{kubeconfig} is no kubeconfig: {str(error).splitlines()[0]}") from error
    if context not in names:
        raise CoursehubError(
            f"the context '{context}' is not in {kubeconfig}, which has: {', '.join(names) or 'none'};"
            " set coursehub_context to the cluster that you mean"
        )


class Kube:
    """One cluster."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        check_context(kubeconfig, context)
        try:
            self._api = kubernetes_config.new_client_from_config(
                config_file=kubeconfig,
                context=context,
                persist_config=False,
                client_configuration=kubernetes_client.Configuration(connection_pool_maxsize=CONNECTIONS),
            )
        except kubernetes_config.ConfigException as error:
            raise CoursehubError(f"{kubeconfig} can't be used: {error}") from error
        self._host = self._api.configuration.host
        self._resources: dict[str, dict[str, Object]] = {}
        self._answered = False
        # When it stumbled last, in ``time.monotonic`` seconds.
        self._stumbled = float("-inf")

    def request(self, method: str, path: str, body: Object | None = None, **query: Any) -> Object:
        """Return the answer as JSON. Raises ApiError, CoursehubError where nobody answers."""
        try:
            return self._read(self._open(method, path, body, query))
        except BrokenOffError:
            # A server that was killed while it spoke. As after any stumble, what it did may be done already.
            return self._read(self._open(method, path, body, query))

    def ask(self, path: str) -> Object:
        """Return an answer that may fail: of something behind the API server, whose own state it is not."""
        return self._read(self._open("GET", path, None, {}, patient=False))

    def text(self, path: str, deadline: float) -> str:
        """Return an answer that is no JSON, as a log. A kubelet that is away is a server that stumbles.

        After ``deadline``, in ``time.monotonic`` seconds, it is asked once and not waited for.
        """
        try:
            data = self._whole(self._open("GET", path, None, {}, until=deadline))
        except BrokenOffError:
            data = self._whole(self._open("GET", path, None, {}, until=deadline))
        return data.decode("utf-8", "replace")

    def merge(self, path: str, body: Object) -> Object:
        """Merge fields into an object, as RFC 7386 has it: those that are None go."""
        return self._read(self._open("PATCH", path, body, {"fieldManager": FIELD_MANAGER}, content="merge-patch+json"))

    def _read(self, response: Any) -> Object:
        answer: Object = json.loads(self._whole(response))
        return answer

    def _whole(self, response: Any) -> bytes:
        try:
            return bytes(response.read())
        except HTTPError as error:
            raise BrokenOffError(f"the cluster at {self._host} broke off its answer: {error}") from error
        finally:
            response.release_conn()

    def _open(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: dict[str, Any],
        timeout: float = REQUEST_TIMEOUT_S,
        *,
        content: str = "",
        patient: bool = True,
        until: float = math.inf,
    ) -> Any:
        """Return an open response of a request that was granted.

        A server that has answered before and stumbles or is away is asked again for ``OUTAGE_S``: a control plane that
        is upgraded restarts its API server. One that has never answered is not waited for. None is for longer than
        ``until``, in ``time.monotonic`` seconds.
        """
        content = content or ("apply-patch+yaml" if method == "PATCH" else "json")
        headers = {"Accept": "application/json", "Content-Type": f"application/{content}"}
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        deadline = min(until, time.monotonic() + (OUTAGE_S if patient and self._answered else 0))
        attempts = 0
        while True:
            try:
                left = max(BRIEF_S, until - time.monotonic())
                response = self._send(method, path, body, query, headers, min(timeout, left))
            except CoursehubError:
                self._stumbled = time.monotonic()
                if self._stumbled >= deadline:
                    raise
                time.sleep(OUTAGE_INTERVAL_S)
                continue
            self._answered = True
            if response.status < 400:
                return response
            message = message_of(response.read())
            response.release_conn()
            attempts += 1
            if response.status == 429 and attempts < ATTEMPTS and time.monotonic() < until:
                # The server asks for a pause: it is overloaded, or has just learnt of the kind.
                time.sleep(min(10.0, float(response.headers.get("Retry-After") or 1)))
            elif response.status >= 500 and time.monotonic() < deadline:
                self._stumbled = time.monotonic()
                time.sleep(OUTAGE_INTERVAL_S)
            elif response.status in (401, 403) and time.monotonic() < min(deadline, self._stumbled + SETTLING_S):
                time.sleep(OUTAGE_INTERVAL_S)
            elif response.status == 429:
                raise ApiError(429, f"the cluster is too busy: {message}")
            else:
                raise ApiError(response.status, message or f"{method} {path} was answered with {response.status}")

    def _send(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: dict[str, Any],
        headers: dict[str, str],
        timeout: float,
    ) -> Any:
        try:
            return self._api.rest_client.pool_manager.request(
                method,
                f"{self._host}{path}" + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=timeout,
                retries=False,
                preload_content=False,
            )
        except HTTPError as error:
            raise CoursehubError(f"the cluster at {self._host} does not answer: {error}") from error

    def wait_ready(self, deadline: float) -> None:
        """Wait until the API server calls itself ready; it refuses connections while it starts.

        ``deadline`` is in ``time.monotonic`` seconds. Raises the last CoursehubError when it passes.
        """
        while True:
            try:
                self._open("GET", "/readyz", None, {}, patient=False).release_conn()
                return
            except CoursehubError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(READY_INTERVAL_S)

    def resource(self, api_version: str, kind: str) -> Object:
        """Return what the API says of a kind: plural name, whether namespaced.

        Raises ApiError with status 404 for a kind that the cluster does not have.
        """
        if api_version not in self._resources:
            root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
            listed = self.request("GET", root)["resources"]
            self._resources[api_version] = {item["kind"]: item for item in listed if "/" not in item["name"]}
        known = self._resources[api_version]
        if kind not in known:
            # A definition that was just applied is not listed yet; the next call asks again.
            del self._resources[api_version]
            raise ApiError(404, f"the cluster knows no {kind} of {api_version}")
        return known[kind]

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of an object, or of a collection where ``name`` is absent."""
        resource = self.resource(api_version, kind)
        root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        where = f"/namespaces/{namespace}" if namespace and resource["namespaced"] else ""
        return f"{root}{where}/{resource['name']}" + (f"/{name}" if name else "")

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None where it or its kind is absent."""
        try:
            return self.request("GET", self.path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, body: Object) -> None:
        """Make an object. One that is there is taken for ours, of a request whose answer was lost.

        So the caller looks for one of somebody else's before, or at what is there afterwards.
        """
        path = self.path(body["apiVersion"], body["kind"], body["metadata"].get("namespace"))
        try:
            self.request("POST", path, body, fieldManager=FIELD_MANAGER)
        except ApiError as error:
            if error.status != 409:
                raise

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, body: Object | None = None
    ) -> None:
        """Remove an object, without waiting until it is gone. One that is gone already is as wanted."""
        try:
            self.request("DELETE", self.path(api_version, kind, namespace, name), body)
        except ApiError as error:
            if error.status != 404:
                raise

    def list(self, api_version: str, kind: str, namespace: str | None = None, **query: Any) -> Objects:
        """Return all objects of a kind in pages of 500; none where the cluster does not know the kind."""
        try:
            path = self.path(api_version, kind, namespace)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        items: Objects = []
        query = {**query, "limit": 500}
        while True:
            try:
                page = self.request("GET", path, **query)
            except ApiError as error:
                if error.status != 410 or "continue" not in query:
                    raise
                # The rest of a list is known for some minutes only. Then all of it is asked for at once.
                items = []
                query = {key: value for key, value in query.items() if key not in ("limit", "continue")}
                continue
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                # A list's items carry neither; every user of them wants both.
                return [{"apiVersion": api_version, "kind": kind, **item} for item in items]
            query["continue"] = token

    def watch(self, path: str, version: str, seconds: float, **query: Any) -> Iterator[Object]:
        """Yield the events of a collection from a version on, for so many seconds at most."""
        query = {**query, "watch": 1, "resourceVersion": version, "timeoutSeconds": max(1, int(seconds))}
        try:
            response = self._open("GET", path, None, query, timeout=seconds + 5)
        except ApiError as error:
            if error.status != 410:
                raise
            # The version is too old, which most servers tell by an event: who waits, lists again and goes on.
            return
        try:
            for line in _lines(response):
                yield json.loads(line)
        except HTTPError:
            # A cut watch is no failure: who waits, lists again and goes on.
            return
        finally:
            response.release_conn()

    def wait(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        done: Callable[[Objects], bool],
        deadline: float,
        **query: Any,
    ) -> Objects:
        """Wait until ``done`` holds for a collection, and return it as last seen.

        ``deadline`` is in ``time.monotonic`` seconds. When it passes, the collection is
        returned all the same: the caller knows best what to say about it.
        """
        state: dict[str, Object] = {}
        for state, _changed in self.follow(api_version, kind, namespace, deadline, **query):
            if done(list(state.values())):
                break
        return list(state.values())

    def follow(
        self, api_version: str, kind: str, namespace: str | None, deadline: float, **query: Any
    ) -> Iterator[tuple[dict[str, Object], Objects]]:
        """Yield a collection by uid, and what is new, changed or gone in it, as often as that happens.

        At first, and whenever it is listed anew, all of it counts as changed. Of many objects only a few change at a
        time: who looks at those alone saves a look at each object for each event. ``deadline`` is in
        ``time.monotonic`` seconds; at least one is yielded.
        """
        path = self.path(api_version, kind, namespace)
        while True:
            answer = self.request("GET", path, **query)
            state = {item["metadata"]["uid"]: item for item in answer["items"]}
            yield state, list(state.values())
            left = deadline - time.monotonic()
            if left <= 0:
                return
            for event in self.watch(path, answer["metadata"]["resourceVersion"], left, **query):
                if event["type"] == "ERROR":
                    break
                if event["type"] == "BOOKMARK":
                    continue
                item = event["object"]
                if event["type"] == "DELETED":
                    state.pop(item["metadata"]["uid"], None)
                else:
                    state[item["metadata"]["uid"]] = item
                yield state, [item]


def _lines(response: Any) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def message_of(body: bytes | str | None) -> str:
    """Return the sentence in a Status object, or the text as it came."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]
