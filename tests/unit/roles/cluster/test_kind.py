"""What kind is told of the cluster, and the key of its Secrets."""

from __future__ import annotations

import base64
from typing import Any

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.loader import lookup_loader

from tests.unit.paths import ROOT

ROLE = ROOT / "roles/cluster"


def rendered(template: str, **variables: Any) -> Any:
    values = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8")),
        "_coursehub_cluster": {"node_image": "node:1", "node_store": ""},
        "_cluster_nodes_dir": "/cache/nodes/course",
        "coursehub_state_dir": "/state",
        **variables,
    }

    def lookup(plugin: str, *terms: str, **options: Any) -> Any:
        found = lookup_loader.get(plugin.removeprefix("ansible.builtin."), loader=DataLoader())
        return found.run(list(terms), {}, **options)[0]

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)
    environment.filters.update(FilterModule().filters())
    text = (ROLE / f"templates/{template}.yaml.j2").read_text(encoding="utf-8")
    return yaml.safe_load(environment.from_string(text).render(**values, lookup=lookup))


def patches(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [yaml.safe_load(text) for text in config["kubeadmConfigPatches"]]
    return {patch["kind"]: patch for patch in found}


@pytest.mark.parametrize("nodes", [1, 3])
def test_by_itself_the_key_is_nowhere(nodes: int) -> None:
    config = rendered("kind", coursehub_cluster_nodes=nodes)
    assert "ClusterConfiguration" not in patches(config)
    assert "encryption" not in str(config)
    assert [len(node["extraMounts"]) for node in config["nodes"]] == [1] * nodes


def test_each_node_of_the_lab_has_images_of_its_own() -> None:
    lab = {"node_image": "node:1", "node_store": "/cache/artefacts/node-store-1/containerd"}
    config = rendered("kind", coursehub_cluster_nodes=2, _coursehub_cluster=lab)
    mounts = [mount for node in config["nodes"] for mount in node["extraMounts"]]
    folders = [mount["hostPath"] for mount in mounts if mount["containerPath"] == "/var/lib/containerd"]
    assert folders == ["/cache/nodes/course/0", "/cache/nodes/course/1"]


def test_a_start_does_not_wait_for_the_nodes_status() -> None:
    kubelet = patches(rendered("kind"))["KubeletConfiguration"]
    # Where only the first is set, the second is the same: each node would write its status each second.
    assert (kubelet["nodeStatusUpdateFrequency"], kubelet["nodeStatusReportFrequency"]) == ("1s", "5m")


def test_the_api_server_finds_the_configuration_where_the_first_node_has_it() -> None:
    config = rendered("kind", coursehub_cluster_nodes=3, coursehub_cluster_encrypt_secrets=True)
    first, *others = config["nodes"]
    mount = first["extraMounts"][1]
    assert mount == {"hostPath": "/state/encryption", "containerPath": mount["containerPath"], "readOnly": True}
    assert [len(node["extraMounts"]) for node in others] == [1, 1]
    patch = patches(config)["ClusterConfiguration"]
    assert patch["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    server = patch["apiServer"]
    (volume,) = server["extraVolumes"]
    assert (volume["hostPath"], volume["readOnly"]) == (mount["containerPath"], True)
    arguments = {one["name"]: one["value"] for one in server["extraArgs"]}
    assert arguments == {
        # kind's own, which a list in a patch takes the place of.
        "runtime-config": "",
        "encryption-provider-config": f"{volume['mountPath']}/config.yaml",
    }
    assert set(patches(config)) == {"KubeletConfiguration", "ClusterConfiguration", "InitConfiguration"}


def test_a_key_is_32_bytes_and_another_one_each_time() -> None:
    found = [rendered("encryption") for _time in range(2)]
    keys = []
    for one in found:
        (rule,) = one["resources"]
        assert rule["resources"] == ["secrets"]
        # What comes first is what is written with.
        assert [next(iter(provider)) for provider in rule["providers"]] == ["secretbox", "identity"]
        (key,) = rule["providers"][0]["secretbox"]["keys"]
        keys.append(base64.b64decode(key["secret"], validate=True))
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]


def test_the_key_is_made_once_and_read_by_nobody_else() -> None:
    folder, key = yaml.safe_load((ROLE / "tasks/kind/encryption.yml").read_text(encoding="utf-8"))
    assert folder["ansible.builtin.file"]["mode"] == "0700"
    template = key["ansible.builtin.template"]
    assert (template["mode"], template["force"]) == ("0600", False)
    assert template["dest"] == "{{ coursehub_state_dir }}/encryption/config.yaml"
    assert key["no_log"] is True
    assert key["diff"] is False
