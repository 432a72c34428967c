"""Who the driver is, whether it is ready, and how the kubelet finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from btrfs_csi import DRIVER
from btrfs_csi.identity import Identity, Registration
from btrfs_csi.pool import Pool
from btrfs_csi.protos import csi, registration

from tests.unit.lab.csi.fakes import Context, FolderPool, refused


def claims(identity: Identity) -> list[Any]:
    return list(identity.GetPluginCapabilities(csi.GetPluginCapabilitiesRequest(), Context()).capabilities)


def test_the_driver_tells_its_name_and_version(tmp_path: Path) -> None:
    info = Identity(FolderPool(tmp_path), True).GetPluginInfo(csi.GetPluginInfoRequest(), Context())
    assert info.name == DRIVER
    assert info.vendor_version


def test_the_name_is_one_that_kubernetes_takes() -> None:
    # A domain name of 63 characters at most, as the interface demands.
    assert len(DRIVER) <= 63
    assert all(part.isalnum() and part.islower() for part in DRIVER.split("."))


def test_a_controller_says_that_it_is_one_and_that_disks_grow_while_in_use(tmp_path: Path) -> None:
    service, expansion = claims(Identity(FolderPool(tmp_path), True))
    assert service.service.type == csi.PluginCapability.Service.CONTROLLER_SERVICE
    assert expansion.volume_expansion.type == csi.PluginCapability.VolumeExpansion.ONLINE


def test_a_driver_without_a_controller_claims_none(tmp_path: Path) -> None:
    assert claims(Identity(FolderPool(tmp_path), False)) == []


def test_the_driver_is_ready_while_its_pool_is_mounted(tmp_path: Path) -> None:
    pool = FolderPool(tmp_path)
    identity = Identity(pool, True)
    assert identity.Probe(csi.ProbeRequest(), Context()).ready.value
    pool.mounted = False
    assert "is it mounted?" in refused("FAILED_PRECONDITION", identity.Probe, csi.ProbeRequest(), Context())
    pool.mounted = True
    assert identity.Probe(csi.ProbeRequest(), Context()).ready.value


def test_a_folder_that_is_not_there_is_no_pool(tmp_path: Path) -> None:
    absent = tmp_path / "pool"
    said = refused("FAILED_PRECONDITION", Identity(Pool(absent), True).Probe, csi.ProbeRequest(), Context())
    assert said == f"{absent} is absent, not the btrfs pool: is it mounted?"
    assert not absent.exists()


def test_the_kubelet_is_told_the_socket_as_it_sees_it() -> None:
    info = Registration("/var/lib/kubelet/plugins/csi.sock").GetInfo(registration.InfoRequest(), Context())
    assert info.type == "CSIPlugin"
    assert info.name == DRIVER
    assert info.endpoint == "/var/lib/kubelet/plugins/csi.sock"
    assert list(info.supported_versions) == ["1.0.0"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"plugin_registered": True}, "kubelet: registered\n"),
        ({"plugin_registered": False, "error": "no such node"}, "kubelet: not registered: no such node\n"),
    ],
)
def test_what_the_kubelet_makes_of_it_is_in_the_log(
    status: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request = registration.RegistrationStatus(**status)
    Registration("/csi.sock").NotifyRegistrationStatus(request, Context())
    assert capsys.readouterr().out == line
