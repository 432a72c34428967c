from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import secret

from tests.unit.plugins.api import Api

PATH = "/api/v1/namespaces/ns/secrets/hub"


def parameters(**more: Any) -> dict[str, Any]:
    return {"name": "hub", "namespace": "ns", "generate": {}, "values": {}, "htpasswd": {}, **more}


def values(api: Api) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in api.objects[PATH]["data"].items()}


def test_a_value_is_drawn_once_and_kept(kube: Kube, api: Api) -> None:
    first = secret.run(kube, parameters(generate={"cookie": 32}), False)
    assert (first["written"], first["changed"]) == (["cookie"], True)
    drawn = values(api)["cookie"]
    assert len(bytes.fromhex(drawn)) == 32
    second = secret.run(kube, parameters(generate={"cookie": 32}), False)
    assert (second["written"], second["changed"]) == ([], False)
    assert second["version"] == first["version"]
    assert values(api)["cookie"] == drawn


def test_two_values_differ() -> None:
    drawn = secret.wanted_values({}, parameters(generate={"a": 32, "b": 32}))
    assert drawn["a"] != drawn["b"]


def test_a_new_key_leaves_the_others_as_they_are(kube: Kube, api: Api) -> None:
    secret.run(kube, parameters(generate={"cookie": 32}), False)
    drawn = values(api)["cookie"]
    result = secret.run(kube, parameters(generate={"cookie": 32, "crypt": 32}), False)
    assert result["written"] == ["crypt"]
    assert values(api)["cookie"] == drawn


def test_given_values_are_set_and_changed(kube: Kube, api: Api) -> None:
    secret.run(kube, parameters(values={"auth": "one"}), False)
    result = secret.run(kube, parameters(values={"auth": "two"}), False)
    assert result["written"] == ["auth"]
    assert values(api) == {"auth": "two"}


def test_a_key_that_is_no_longer_wanted_goes(kube: Kube, api: Api) -> None:
    secret.run(kube, parameters(values={"auth": "one", "old": "x"}), False)
    assert secret.run(kube, parameters(values={"auth": "one"}), False)["written"] == ["old"]
    assert values(api) == {"auth": "one"}


def test_no_value_is_returned(kube: Kube, api: Api) -> None:
    result = secret.run(kube, parameters(values={"auth": "swordfish"}, generate={"cookie": 32}), False)
    assert "swordfish" not in str(result)
    assert values(api)["cookie"] not in str(result)
    assert result["diff"] == {"before": {"keys": []}, "after": {"keys": ["auth", "cookie"]}}


def test_the_namespace_is_made_where_it_is_absent(kube: Kube, api: Api) -> None:
    secret.run(kube, parameters(values={"a": "b"}), False)
    secret.run(kube, parameters(values={"a": "c"}), False)
    assert api.asked_for("PATCH").count("/api/v1/namespaces/ns") == 1


def test_a_dry_run_writes_nothing(kube: Kube, api: Api) -> None:
    result = secret.run(kube, parameters(generate={"cookie": 32}), True)
    assert (result["written"], result["version"]) == (["cookie"], "")
    assert api.objects == {}


def test_a_line_for_the_proxy_matches_its_password() -> None:
    wanted = secret.wanted_values(
        {}, parameters(values={"pw": "swordfish"}, htpasswd={"users": {"user": "hub", "password": "pw"}})
    )
    digest = base64.b64encode(hashlib.sha1(b"swordfish").digest()).decode()
    assert wanted["users"] == f"hub:{{SHA}}{digest}"


def test_a_line_for_a_password_that_is_not_there() -> None:
    with pytest.raises(CoursehubError, match="htpasswd names the password 'pw', which the Secret does not hold"):
        secret.wanted_values({}, parameters(htpasswd={"users": {"user": "hub", "password": "pw"}}))
