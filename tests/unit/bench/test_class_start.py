from __future__ import annotations

import json
from pathlib import Path

from bench import api_server, class_start, kubelets


def test_the_table_has_both_hubs_side_by_side() -> None:
    ours = class_start.Course({"202": 1000}, ready=1000, ready_s=90.0, told=20, hub_start_s=7.5)
    default = class_start.Course({"202": 64, "429": 936}, ready=64, ready_s=12.0, hub_start_s=9.0)
    head, *rows = class_start._rows(ours, default)
    assert {len(row) for row in rows} == {len(head)}
    assert rows[0][1:] == ["0", "936", "0"]
    assert rows[1][1:3] == ["1000", "64"]


def test_a_hub_is_told_what_the_role_would_write(tmp_path: Path) -> None:
    class_start._settings(tmp_path)
    values = json.loads((tmp_path / "values.json").read_text(encoding="utf-8"))
    template = (Path(class_start.ROOT) / "roles/hub/templates/hub.yaml.j2").read_text(encoding="utf-8")
    names = [line.split("'")[1] for line in template.split("} | to_json")[0].splitlines() if line.startswith("     '")]
    assert set(values) == set(names)
    secrets = {path.name for path in (tmp_path / "secrets").iterdir()}
    assert {"cookie-secret", "auth.json", "disks-token", "people-token", "api-password", "redis-password"} <= secrets


def test_a_pod_that_runs_has_what_the_hub_looks_for() -> None:
    status = kubelets._status()
    assert status["phase"] == "Running"
    assert status["podIP"]
    assert all(one["ready"] for one in status["containerStatuses"])


def test_a_kubeconfig_that_leads_to_one_server(tmp_path: Path) -> None:
    config = api_server._config("https://127.0.0.1:1", "token", tmp_path / "ca.crt")
    assert [one["name"] for one in config["contexts"]] == [api_server.CONTEXT]  # type: ignore[attr-defined]
