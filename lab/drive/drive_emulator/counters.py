"""What was asked, by method and identity, for a test to read."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Counters:
    """Counts since the last reset. A call is counted when it comes, an answer when it goes."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.answers: Counter[tuple[str, str, int, str]] = Counter()
        self.uploaded: Counter[str] = Counter()
        self.downloaded: Counter[str] = Counter()

    def shown(self) -> dict[str, Any]:
        """Return all counts as JSON: rows for calls and answers, bytes of content by identity."""
        return {
            "calls": [
                {"method": method, "identity": identity, "count": count}
                for (method, identity), count in sorted(self.calls.items())
            ],
            "answers": [
                {"method": method, "identity": identity, "status": status, "reason": reason, "count": count}
                for (method, identity, status, reason), count in sorted(self.answers.items())
            ],
            "total_calls": self.calls.total(),
            "uploaded_bytes": dict(sorted(self.uploaded.items())),
            "downloaded_bytes": dict(sorted(self.downloaded.items())),
        }
