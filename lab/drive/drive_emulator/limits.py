"""Drive's limits, as figures that a test can make small, and the checks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .errors import DriveError, forbidden
from .model import File
from .tree import Tree

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Sizes are in bytes, times in seconds, rates in units a minute; a rate of 0 means none.

    Files: https://support.google.com/a/answer/7338880 and https://support.google.com/a/answer/172541
    Properties: https://developers.google.com/workspace/drive/api/guides/properties
    Uploads: https://developers.google.com/workspace/drive/api/guides/manage-uploads
    Rates and units: https://developers.google.com/workspace/drive/api/guides/limits
    """

    drive_items: int = 500_000
    folder_children: int = 500_000
    depth: int = 100
    property_bytes: int = 124
    app_properties: int = 30
    public_properties: int = 30
    file_bytes: int = 5120 * GIB
    user_storage_bytes: int = 15 * GIB
    day_upload_bytes: int = 750 * GIB
    upload_session_s: float = 7 * 24 * 3600
    access_token_s: int = 3600
    listing_delay_s: float = 0.0
    user_units_per_minute: int = 325_000
    project_units_per_minute: int = 1_000_000
    # Drive has no figure for this one; people see about two new small files a second.
    user_writes_per_second: float = 0.0
    read_units: int = 5
    list_units: int = 100
    download_units: int = 200
    edit_units: int = 50
    # 403, or 429: the documentation has both.
    rate_status: int = 403

    def changed(self, values: Mapping[str, Any]) -> Limits:
        """Return limits with other figures; ValueError for one that is not known or is no figure."""
        known = {item.name for item in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no limit {name}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
                raise ValueError(f"{name} is a number that is not below 0")
        if values.get("rate_status", 403) not in (403, 429):
            raise ValueError("rate_status is 403 or 429")
        return replace(self, **values)


def check_properties(limits: Limits, values: Mapping[str, str], *, private: bool) -> None:
    """Refuse properties that are too many or too long, key and value together counted in UTF-8."""
    kind, most = ("appProperties", limits.app_properties) if private else ("properties", limits.public_properties)
    if len(values) > most:
        raise DriveError(400, "invalid", f"A file has at most {most} {kind}.", location=kind, location_type="other")
    for name, value in values.items():
        size = len(name.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace"))
        if size > limits.property_bytes:
            raise DriveError(
                400,
                "invalid",
                f"The property {name[:40]} has {size} bytes, more than {limits.property_bytes}.",
                location=kind,
                location_type="other",
            )


def check_place(limits: Limits, tree: Tree, parent: File, *, height: int = 0) -> None:
    """Refuse one more child, with as many levels below it as `height`, in a folder that can't take it."""
    if parent.parent is not None and len(tree.children(parent.id)) >= limits.folder_children:
        raise forbidden(
            "numChildrenInNonRootLimitExceeded",
            "The limit for this folder's number of children (files and folders) has been exceeded.",
        )
    # A folder directly in the top is on level 1.
    if (0 if parent.top else tree.depth(parent) + 1) + 1 + height > limits.depth:
        shared = parent.drive_id is not None
        raise forbidden(
            "teamDriveHierarchyTooDeep" if shared else "myDriveHierarchyDepthLimitExceeded",
            f"The {'shared drive' if shared else 'My Drive'} hierarchy depth will exceed the limit.",
        )


def check_drive(limits: Limits, items: int, more: int = 1) -> None:
    """Refuse more items in a shared drive that is full; the bin counts too."""
    if items + more > limits.drive_items:
        raise forbidden("teamDriveFileLimitExceeded", "The file limit for this shared drive has been exceeded.")


def check_size(limits: Limits, size: int) -> None:
    """Refuse a file that is too large; size in bytes."""
    if size > limits.file_bytes:
        raise DriveError(413, "uploadTooLarge", f"A file has at most {limits.file_bytes} bytes.")
