from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import pool_check

PARAMETERS: dict[str, Any] = {
    "machine": {"type": "small", "cpu": "1900m", "memory": "13Gi", "disks": 127},
    "prices": {"small": 0.5},
    "memory": "256Mi",
    "cpu": "100m",
    "core_nodes": 2,
    "limit_nodes": 20,
    "limit_spend": 100.0,
}


def test_a_pool_that_is_well() -> None:
    assert pool_check.run(PARAMETERS) == {"changed": False, "seats_per_node": 19}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"machine": {}}, "a pool's machine has no type"),
        ({"prices": {}}, r"the price list lacks the type small, which a pool uses \(it has none\)"),
        ({"cpu": "2"}, "can't hold one student: .*choose one with more cpu"),
        ({"limit_nodes": 2}, "the core pool alone has 2"),
        ({"limit_spend": 24.0}, "does not pay for the core pool"),
        ({"core_nodes": 0}, "every hub is down"),
    ],
)
def test_a_pool_that_is_not(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        pool_check.run({**PARAMETERS, **changed})
