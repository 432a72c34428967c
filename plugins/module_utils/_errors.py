# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception that every layer raises; only a module's edge turns it into a failure."""

from __future__ import annotations


class CoursehubError(Exception):
    """What went wrong and what to do about it, in one sentence."""
