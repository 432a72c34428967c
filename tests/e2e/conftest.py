"""The hub under test, its students and a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.e2e.cluster import Cluster
from tests.e2e.student import Student

REPORTS = Path(__file__).resolve().parents[2] / "build/reports"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say at once why a test failed: a run that is cut off after it never comes to its summary."""
    report = yield
    if report.failed:
        reporter = item.config.pluginmanager.get_plugin("terminalreporter")
        reasons = [line for line in report.longreprtext.splitlines() if line.startswith("E  ")]
        reporter.write_line("")
        for line in reasons or [report.longreprtext]:
            reporter.write_line(line)
    return report


@pytest.fixture(scope="session")
def url() -> str:
    return os.environ["COURSEHUB_URL"]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(os.environ["COURSEHUB_KUBECONFIG"], os.environ["COURSEHUB_CONTEXT"])


@pytest.fixture(scope="session")
def alice(url: str) -> Student:
    """A student who is logged in and whose server runs."""
    return Student(url, "alice").login().start()


@pytest.fixture(scope="session")
def bob(url: str) -> Student:
    """Another student who is logged in and whose server runs."""
    return Student(url, "bob").login().start()


@pytest.fixture
def browser(tmp_path: Path, screenshots: Path) -> Iterator[webdriver.Chrome]:
    """A browser of its own; what it shows at the end, of a failure too, is kept."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1280,800",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(30)
    yield driver
    driver.save_screenshot(str(screenshots / "end.png"))
    driver.quit()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = REPORTS / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stand_in() -> Iterator[None]:
    """A machine beside the nodes that holds the metadata address of a cloud, and an address of the world outside.

    Both are reached by a route on each node, as in a cloud.
    """
    engine, name = os.environ["COURSEHUB_ENGINE"], f"{os.environ['COURSEHUB_NAME']}-stand-in"
    serve = (
        "ip address add 169.254.169.254/32 dev lo; ip address add 203.0.113.10/32 dev lo;"
        " exec socat TCP-LISTEN:80,fork,reuseaddr EXEC:'/bin/echo stand-in'"
    )

    def run(*command: str) -> str:
        return subprocess.run([engine, *command], check=True, capture_output=True, text=True).stdout

    run("rm", "--force", "--ignore", name)
    image = os.environ["COURSEHUB_NODE_IMAGE"]
    run(
        *("run", "--detach", "--name", name, "--network", "kind", "--cap-add", "NET_ADMIN"),
        *("--entrypoint", "/bin/bash", image, "-c", serve),
    )
    address = run("inspect", "--format", "{{.NetworkSettings.Networks.kind.IPAddress}}", name).strip()
    nodes = run(
        "ps", "--filter", f"label=io.x-k8s.kind.cluster={os.environ['COURSEHUB_NAME']}", "--format", "{{.Names}}"
    ).split()
    for node in nodes:
        for target in ("169.254.169.254", "203.0.113.10"):
            run("exec", node, "ip", "route", "replace", f"{target}/32", "via", address)
    yield
    for node in nodes:
        for target in ("169.254.169.254", "203.0.113.10"):
            run("exec", node, "ip", "route", "del", f"{target}/32")
    run("rm", "--force", name)
