"""The driver under CSI's own conformance tests, ``csi-sanity``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from btrfs_csi.protos import csi

from tests.integration.driver import ROOT, Driver

BUILD_TIMEOUT_S = 1800
RUN_TIMEOUT_S = 1800
LEAST_PASSED = 60
# Switched off by csi-sanity itself, for every driver.
PENDING = {
    "pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted"
}
# What csi-sanity says when it skips a test -> the capability that a driver must claim to be tested so.
SKIPS = {
    "ControllerModifyVolume not supported": "controller MODIFY_VOLUME",
    "Modify volume not supported": "controller MODIFY_VOLUME",
    "Modify Volume not supported": "controller MODIFY_VOLUME",
    "NodeStageVolume not supported": "node STAGE_UNSTAGE_VOLUME",
    "NodeUnstageVolume not supported": "node STAGE_UNSTAGE_VOLUME",
    "NodeExpandVolume not supported": "node EXPAND_VOLUME",
    "GroupControllerService not supported": "plugin GROUP_CONTROLLER_SERVICE",
    "testnodevolumeattachlimit not enabled": "most volumes of a node",
}


@dataclass(frozen=True)
class Report:
    """How csi-sanity ended, its tests, and what the driver claimed meanwhile."""

    code: int
    tests: list[dict[str, Any]]
    claimed: set[str]

    def of(self, state: str) -> list[dict[str, Any]]:
        return [test for test in self.tests if test["State"] == state]


@pytest.fixture(scope="module")
def csi_sanity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' program, from the lab's cache, or built into it."""
    cache = os.environ.get("COURSEHUB_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coursehub"
    )
    result = tmp_path_factory.mktemp("builder") / "result.json"
    built = subprocess.run(
        [sys.executable, "-m", "builder", "--cache", cache, "--result", str(result), "go-csi-sanity"],
        cwd=ROOT / "lab",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert built.returncode == 0, f"csi-sanity could not be built: {built.stdout}{built.stderr}"
    folder = json.loads(result.read_text(encoding="utf-8"))["artefacts"]["go-csi-sanity"]["folder"]
    return Path(folder) / "csi-sanity"


@pytest.fixture
def report(driver: Driver, csi_sanity: Path, place: Path, reports: Path) -> Report:
    claimed = _claimed(driver)
    file = reports / "csi-sanity.json"
    file.unlink(missing_ok=True)
    done = subprocess.run(
        [
            *(str(csi_sanity), "--csi.endpoint", f"unix://{driver.socket}"),
            *("--csi.mountdir", str(place / "mount"), "--csi.stagingdir", str(place / "staging")),
            *("--csi.testvolumesize", "104857600", "--csi.testvolumeexpandsize", "209715200"),
            # The same order each time: what fails once fails again.
            *("--ginkgo.seed", "1", "--ginkgo.no-color", "--ginkgo.json-report", str(file)),
            *("--ginkgo.junit-report", str(reports / "csi-sanity.xml")),
        ],
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert file.exists(), f"csi-sanity wrote no report: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    (suite,) = json.loads(file.read_text(encoding="utf-8"))
    tests = [spec for spec in suite["SpecReports"] if spec["LeafNodeType"] == "It"]
    return Report(done.returncode, tests, claimed)


def _claimed(driver: Driver) -> set[str]:
    """Ask the driver for all that it claims to be able to do."""
    plugin = driver.identity.GetPluginCapabilities(csi.GetPluginCapabilitiesRequest()).capabilities
    controller = driver.controller.ControllerGetCapabilities(csi.ControllerGetCapabilitiesRequest()).capabilities
    node = driver.node.NodeGetCapabilities(csi.NodeGetCapabilitiesRequest()).capabilities
    service = csi.PluginCapability.Service.Type
    claims = {f"plugin {service.Name(one.service.type)}" for one in plugin if one.HasField("service")}
    claims |= {f"controller {csi.ControllerServiceCapability.RPC.Type.Name(one.rpc.type)}" for one in controller}
    claims |= {f"node {csi.NodeServiceCapability.RPC.Type.Name(one.rpc.type)}" for one in node}
    if driver.node.NodeGetInfo(csi.NodeGetInfoRequest()).max_volumes_per_node:
        claims.add("most volumes of a node")
    return claims


def _all_capabilities() -> set[str]:
    """Return the names of all capabilities that the interface has."""
    return {
        *(f"plugin {name}" for name in csi.PluginCapability.Service.Type.keys()),  # noqa: SIM118 - no mapping
        *(f"controller {name}" for name in csi.ControllerServiceCapability.RPC.Type.keys()),  # noqa: SIM118
        *(f"node {name}" for name in csi.NodeServiceCapability.RPC.Type.keys()),  # noqa: SIM118
        "most volumes of a node",
    }


def test_the_driver_passes_the_conformance_tests(report: Report) -> None:
    failures = [
        f"{' '.join(test['ContainerHierarchyTexts'])} {test['LeafNodeText']}: {test['Failure']['Message']}"
        for test in report.tests
        if test["State"] not in ("passed", "skipped", "pending")
    ]
    assert failures == []
    assert report.code == 0
    assert len(report.of("passed")) >= LEAST_PASSED
    assert {test["LeafNodeText"] for test in report.of("pending")} <= PENDING
    # A test is skipped only for something that the driver doesn't claim to be able to do.
    reasons = Counter(test["Failure"]["Message"] for test in report.of("skipped"))
    assert set(reasons) <= set(SKIPS), "csi-sanity skipped for a reason that is not known here"
    assert {reason for reason in reasons if SKIPS[reason] in report.claimed} == set()


def test_the_reasons_for_skipping_name_capabilities_of_the_interface() -> None:
    assert set(SKIPS.values()) <= _all_capabilities()


def test_the_driver_claims_all_that_the_roles_stand_on(driver: Driver) -> None:
    assert _claimed(driver) >= {
        "plugin CONTROLLER_SERVICE",
        "controller CREATE_DELETE_VOLUME",
        "controller PUBLISH_UNPUBLISH_VOLUME",
        "controller CREATE_DELETE_SNAPSHOT",
        "controller CLONE_VOLUME",
        "controller EXPAND_VOLUME",
        "node GET_VOLUME_STATS",
    }
