from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("2", "2"),
        ("500m", "0.5"),
        ("250u", "0.00025"),
        ("10n", "0.00000001"),
        ("1.5Gi", str(3 * 2**29)),
        ("10Gi", str(10 * 2**30)),
        (".5Ki", "512"),
        ("5.", "5"),
        ("10G", str(10**10)),
        ("1k", "1000"),
        ("1E", str(10**18)),
        ("1Ei", str(2**60)),
        ("1e3", "1000"),
        ("2E-1", "0.2"),
        ("-1Gi", str(-(2**30))),
        ("+3", "3"),
    ],
)
def test_what_kubernetes_takes(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", " ", "ten", "10GB", "10gi", "1K", "1 Gi", "Gi", "1e", "1e3Gi", "0x10", "1,5Gi", "10Gi\n", "--1"]
)
def test_what_kubernetes_refuses(text: str) -> None:
    with pytest.raises(CoursehubError) as refused:
        parse_quantity(text)
    assert str(refused.value) == f"'{text}' is no Kubernetes quantity: write it as in 500m, 2, 512Mi or 10Gi"


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi", "m"]))
def test_a_larger_number_is_a_larger_quantity(number: int, suffix: str) -> None:
    assert parse_quantity(f"{number}{suffix}") < parse_quantity(f"{number + 1}{suffix}")


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_one_sentence(text: str) -> None:
    with suppress(CoursehubError):
        assert parse_quantity(text).is_finite()
