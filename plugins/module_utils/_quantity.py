# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kubernetes quantities: ``500m``, ``1.5Gi``, ``2e3``."""

from __future__ import annotations

import re
from decimal import Decimal

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)\Z")


def parse_quantity(text: str) -> Decimal:
    """Return a quantity's value in its base unit (bytes, cores).

    Raises CoursehubError for text that Kubernetes would refuse.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise CoursehubError(f"'{text}' is no Kubernetes quantity: write it as in 500m, 2, 512Mi or 10Gi")
    number, exponent, suffix = match.groups()
    if exponent:
        return Decimal(number + exponent)
    return Decimal(number) * _FACTORS[suffix or ""]
