"""What the API's methods work on, and what a request is to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import fields
from .access import Access
from .accounts import Accounts, Caller
from .clock import Clock
from .contents import Contents
from .counters import Counters
from .faults import Faults
from .limits import Limits
from .model import Content
from .rates import Rates
from .state import State
from .uploads import Sessions


class Service:
    """One emulated Drive. `folder` is where contents are."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.clock = Clock()
        self.contents = Contents(folder)
        self.state = State(self.clock, limits or Limits(), self.contents.delete)
        self.accounts = Accounts(self.clock)
        self.sessions = Sessions(self.clock)
        self.rates = Rates(self.clock)
        self.faults = Faults()
        self.counters = Counters()
        # Page token -> what it was made for, the ids of the whole list, and where the page begins.
        self.cursors: dict[str, tuple[tuple[Any, ...], list[str], int]] = {}

    @property
    def limits(self) -> Limits:
        return self.state.limits

    def storage_limit(self, user: str) -> int:
        """Return how many bytes a user may own."""
        own = self.accounts.users.get(user)
        return self.limits.user_storage_bytes if own is None else own


@dataclass(frozen=True)
class Request:
    """A call that has been checked: whom it is from, its parameters, its body, and its content with a type."""

    caller: Caller
    parameters: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict)
    content: Content | None = None
    content_type: str | None = None

    @property
    def all_drives(self) -> bool:
        return bool(self.parameters.get("supportsAllDrives"))

    def mask(self, default: fields.Mask) -> fields.Mask:
        """Return what is asked for, or the default where nothing is; `*` is everything.

        rclone sends an empty text for nothing.
        """
        text = self.parameters.get("fields")
        if not text:
            return default
        mask = fields.parse(text)
        return {} if "*" in mask and not mask["*"] else mask

    def access(self, service: Service) -> Access:
        return Access(service.state, self.caller)


Handler = Callable[[Service, Request], dict[str, Any] | None]
