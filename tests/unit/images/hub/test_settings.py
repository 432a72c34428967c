from __future__ import annotations

import asyncio
import json
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _restore
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity
from coursehub_hub import login, server, settings
from hypothesis import given
from hypothesis import strategies as st
from traitlets.config import Config

from tests.unit.paths import ROOT

VALUES: dict[str, Any] = {
    "authenticator": "dummy",
    "auth": {},
    "allow_all": True,
    "allowed_users": [],
    "allow_existing_users": False,
    "admin_users": ["teacher"],
    "roles": {"staff": ["list:users", "access:servers"]},
    "public_url": "",
    "subdomains": False,
    "students_namespace": "students",
    "hub_url": "http://hub.coursehub:8081",
    "proxy_api_url": "http://proxy-api.coursehub:8099",
    "redis_url": "redis://proxy-redis.coursehub:6379",
    "image": "localhost/coursehub/singleuser:1",
    "storage_class": "coursehub-disk",
    "disk_size": "10Gi",
    "memory": "512Mi",
    "memory_limit": "2Gi",
    "cpu": "250m",
    "cpu_limit": "2",
    "pool": "students",
    "scheduler": "coursehub-packing",
    "start_timeout": 300,
    "away_limit": 43200,
    "concurrent_spawns": 64,
    "cull": {"idle": 3600, "max_age": 0, "every": 600, "groups": {}, "night": {}},
    "courses": {"lab1": "data-8"},
}
SECRETS = {
    "cookie-secret": "ab" * 32,
    "crypt-key": "cd" * 32,
    "disks-token": "ef" * 32,
    "people-token": "01" * 32,
    "auth.json": "{}",
    "api-password": "for-the-api",
    "redis-password": "for-redis",
}


def configured(secrets: dict[str, str] | None = None, **values: Any) -> Config:
    config = Config()
    settings.apply(config, settings.Settings({**VALUES, **values}, {**SECRETS, **(secrets or {})}))
    return config


def test_the_values_of_the_role_are_the_values_that_are_read() -> None:
    text = (ROOT / "roles/hub/templates/hub.yaml.j2").read_text(encoding="utf-8")
    block = text.partition("{% set values = {")[2].partition("}")[0]
    assert {line.split("'")[1] for line in block.splitlines() if "'" in line} == set(VALUES)


def test_the_file_that_jupyterhub_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "values.json").write_text(json.dumps(VALUES), encoding="utf-8")
    secrets = tmp_path / "secrets"
    # As Kubernetes mounts them: links into a folder whose name has two dots.
    (secrets / "..data").mkdir(parents=True)
    for name, value in SECRETS.items():
        (secrets / "..data" / name).write_text(f"{value}\n", encoding="utf-8")
        (secrets / name).symlink_to(f"..data/{name}")
    monkeypatch.setenv("COURSEHUB_VALUES", str(tmp_path / "values.json"))
    monkeypatch.setenv("COURSEHUB_SECRETS", str(secrets))
    config = Config()
    runpy.run_path(str(ROOT / "images/hub/jupyterhub_config.py"), init_globals={"get_config": lambda: config})
    assert config == configured()
    assert config.JupyterHub.cookie_secret == bytes.fromhex(SECRETS["cookie-secret"])


def test_what_works_on_disks_may_stop_a_server_and_nothing_else() -> None:
    config = configured()
    tokens = {service["name"]: service.get("api_token") for service in config.JupyterHub.services}
    assert tokens["disks"] == SECRETS["disks-token"]
    (role,) = (role for role in config.JupyterHub.load_roles if "disks" in role.get("services", []))
    assert role["scopes"] == ["delete:servers"]


def test_roles_belong_to_groups_and_jupyterhubs_own_are_left_alone() -> None:
    config = configured(roles={"staff": ["access:servers"], "observer": ["list:users"]})
    roles = {role["name"]: role for role in config.JupyterHub.load_roles if "groups" in role}
    assert {name: role["groups"] for name, role in roles.items()} == {
        "staff": ["staff"],
        "observer": ["observer"],
        "administrator": ["administrator"],
    }
    assert roles["staff"]["scopes"] == ["access:servers"]
    assert {"admin:users", "admin:servers", "shutdown"} <= set(roles["administrator"]["scopes"])
    # A role that is named here loses those members that are not, at each start of the hub.
    assert not {"admin", "user"} & {role["name"] for role in config.JupyterHub.load_roles}


def test_no_role_can_be_made_greater_than_the_administrators() -> None:
    config = configured(roles={"administrator": ["list:users"]})
    (role,) = (role for role in config.JupyterHub.load_roles if role["name"] == "administrator")
    assert "admin:users" in role["scopes"]


def test_a_hub_that_ends_leaves_servers_and_routes_alone() -> None:
    hub = configured().JupyterHub
    assert hub.cleanup_servers is False
    assert hub.cleanup_proxy is False


def test_the_proxy_runs_apart_and_its_api_is_not_announced_by_the_hub() -> None:
    config = configured()
    assert config.JupyterHub.proxy_class == "coursehub_hub.routes.CourseProxy"
    assert config.TraefikProxy.should_start is False
    assert config.TraefikProxy.enable_setup_dynamic_config is False
    assert config.TraefikProxy.traefik_api_password == "for-the-api"
    assert config.TraefikRedisProxy.redis_password == "for-redis"


@pytest.mark.parametrize(("name", "section"), [(name, path.rpartition(".")[2]) for name, path in login.CLASSES.items()])
def test_each_login_gets_its_own_settings(name: str, section: str) -> None:
    secrets = {"auth.json": json.dumps({"client_secret": "s"})}
    config = configured(secrets, authenticator=name, auth={"client_id": "i"}, public_url="https://hub.example.org/")
    assert config.JupyterHub.authenticator_class == login.CLASSES[name]
    assert (config[section].client_id, config[section].client_secret) == ("i", "s")
    callback = config[section].get("oauth_callback_url")
    assert callback == (None if name == "dummy" else "https://hub.example.org/hub/oauth_callback")
    assert config.Authenticator.enable_auth_state is (name != "dummy")


def test_a_callback_that_is_set_by_hand_is_kept() -> None:
    own = {"oauth_callback_url": "https://elsewhere.example.org/cb"}
    config = configured(authenticator="oidc", auth=own, public_url="https://hub.example.org")
    assert config.GenericOAuthenticator.oauth_callback_url == own["oauth_callback_url"]


def test_who_may_come_in() -> None:
    config = configured(allow_all=False, allowed_users=["ann", "ann"], admin_users=["teacher"])
    assert config.Authenticator.allow_all is False
    assert config.Authenticator.allowed_users == {"ann"}
    assert config.Authenticator.admin_users == {"teacher"}


def test_an_address_of_its_own_for_each_student_only_where_it_is_asked_for() -> None:
    assert "subdomain_host" not in configured(public_url="https://hub.example.org").JupyterHub
    config = configured(public_url="https://hub.example.org", subdomains=True)
    assert config.JupyterHub.subdomain_host == config.JupyterHub.public_url == "https://hub.example.org"


def test_a_disk_is_found_again_without_the_hubs_database() -> None:
    spawner = configured().KubeSpawner
    assert spawner.pvc_name_template == "disk-{username}"
    assert spawner.remember_pvc_name is False
    assert spawner.delete_pvc is False
    assert spawner.storage_capacity == "10Gi"


def test_a_server_satisfies_pod_security_restricted() -> None:
    spawner = configured().KubeSpawner
    assert spawner.automount_service_account_token is False
    assert spawner.allow_privilege_escalation is False
    assert spawner.container_security_context["capabilities"] == {"drop": ["ALL"]}
    assert spawner.pod_security_context["runAsNonRoot"] is True
    assert spawner.pod_security_context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (spawner.uid, spawner.fs_gid) == (server.UID, server.UID)


def test_a_server_asks_for_a_name_again_after_a_second() -> None:
    options = configured().KubeSpawner.extra_pod_config["dnsConfig"]["options"]
    assert options == [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "5"}]


def test_a_server_runs_in_the_students_pool_and_no_engine_moves_it() -> None:
    spawner = configured().KubeSpawner
    assert spawner.node_selector == {"coursehub.jupyterhub/pool": "students"}
    assert spawner.tolerations[0]["value"] == "students"
    assert spawner.scheduler_name == "coursehub-packing"
    assert spawner.extra_annotations["karpenter.sh/do-not-disrupt"] == "true"
    anywhere = configured(pool="", scheduler="").KubeSpawner
    assert "node_selector" not in anywhere
    assert "scheduler_name" not in anywhere


def test_the_courses_of_groups_are_the_spawners() -> None:
    assert configured().CourseSpawner.courses == {"lab1": "data-8"}


def test_memory_is_counted_as_kubernetes_does() -> None:
    spawner = configured().KubeSpawner
    assert (spawner.mem_guarantee, spawner.mem_limit) == (512 * 2**20, 2 * 2**30)
    assert (spawner.cpu_guarantee, spawner.cpu_limit) == (0.25, 2.0)


@given(
    st.one_of(st.integers(0, 10**6), st.decimals(0, 10**6, places=3)),
    st.sampled_from([*server.FACTORS, "e3", "E2", "e-2"]),
)
def test_what_the_role_lets_pass_the_hub_understands_as_kubernetes_does(number: object, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert server.quantity(text) == pytest.approx(float(parse_quantity(text)))


@pytest.mark.parametrize("text", ["", "ten", "10GB", "1K"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        server.quantity(text)


class ApiError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Spawner:
    """The part of KubeSpawner that the hook uses, with its API: the claims that there are, and their annotations."""

    def __init__(self, claims: dict[str, dict[str, str] | None], error: Exception | None = None) -> None:
        self.storage_extra_annotations: dict[str, str] = {"a": "b"}
        self.pvc_name, self.namespace = "disk-ann", "students"
        self.start_timeout = 0
        self.patched: list[tuple[Any, ...]] = []
        self.api = self
        self._claims = claims
        self._error = error

    async def patch_namespaced_persistent_volume_claim(
        self, name: str, namespace: str, body: Any, _request_timeout: float
    ) -> Any:
        # Less than the 134 s for which the kernel alone tries to connect.
        assert 0 < _request_timeout <= 30
        if self._error:
            raise self._error
        claim = await self.read_namespaced_persistent_volume_claim(name, namespace, _request_timeout)
        self.patched.append((name, namespace, body))
        return claim

    async def read_namespaced_persistent_volume_claim(self, name: str, _namespace: str, _request_timeout: float) -> Any:
        if name not in self._claims:
            raise ApiError(404)
        return SimpleNamespace(metadata=SimpleNamespace(annotations=self._claims[name]))


def test_a_start_is_marked_on_the_disk() -> None:
    assert configured().Spawner.pre_spawn_hook is server.mark_start
    assert server.LAST_START == _disks.LAST_START_ANNOTATION
    spawner = Spawner({"disk-ann": None})
    asyncio.run(server.mark_start(spawner))
    ((claim, namespace, body),) = spawner.patched
    assert (claim, namespace) == ("disk-ann", "students")
    moment = body["metadata"]["annotations"][server.LAST_START]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(moment)) < timedelta(minutes=1)
    assert spawner.storage_extra_annotations == {"a": "b", server.LAST_START: moment}


def test_a_first_start_marks_the_disk_that_it_makes() -> None:
    spawner = Spawner({})
    asyncio.run(server.mark_start(spawner))
    assert server.LAST_START in spawner.storage_extra_annotations


@pytest.mark.parametrize("error", [ApiError(403), OSError("no route")])
def test_a_disk_that_can_not_be_marked_is_not_started(error: Exception) -> None:
    with pytest.raises(type(error)):
        asyncio.run(server.mark_start(Spawner({"disk-ann": None}, error)))


@pytest.mark.parametrize("claims", [{"restore-disk-ann": None}, {"disk-ann": {server.RESTORE: "{}"}}])
def test_no_server_is_started_on_a_disk_that_is_being_restored(claims: dict[str, dict[str, str] | None]) -> None:
    assert (server.RESTORE, server.RESTORE_PREFIX) == (_restore.JOURNAL_ANNOTATION, _restore.PREFIX)
    with pytest.raises(server.BeingRestoredError) as refused:
        asyncio.run(server.mark_start(Spawner(claims)))
    assert "just being restored" in refused.value.jupyterhub_message


def test_no_server_is_started_on_a_disk_that_is_being_removed() -> None:
    assert server.REMOVAL == _disks.REMOVAL_ANNOTATION
    with pytest.raises(server.BeingRemovedError) as refused:
        asyncio.run(server.mark_start(Spawner({"disk-ann": {server.REMOVAL: "true"}})))
    assert "was archived" in refused.value.jupyterhub_message


@pytest.mark.parametrize(
    ("claims", "full"),
    [({"disk-ann": {server.FULL: "true"}}, True), ({"disk-ann": None}, False), ({}, False)],
)
def test_a_full_disk_is_known_at_the_start(claims: dict[str, dict[str, str] | None], full: bool) -> None:
    assert server.FULL == _disks.FULL_ANNOTATION
    spawner = Spawner(claims)
    asyncio.run(server.mark_start(spawner))
    assert spawner.disk_is_full is full
