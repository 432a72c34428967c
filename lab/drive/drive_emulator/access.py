"""What a caller may see and do, by role and by scope."""

from __future__ import annotations

from .accounts import Caller
from .errors import DriveError, drive_not_found, forbidden, no_permission, not_found
from .model import File, at_least
from .state import State
from .tree import Tree


class Access:
    """One caller's view of the files."""

    def __init__(self, state: State, caller: Caller) -> None:
        self.state = state
        self.caller = caller

    def of_app(self, file: File) -> bool:
        """Tell whether the scopes show a file: with `drive.file` alone, only those that the app made."""
        return self.caller.all_files or file.app == self.caller.app or (file.top and file.drive_id is None)

    def role(self, file: File, tree: Tree | None = None) -> str | None:
        return (tree or self.state.now).role(self.caller.user, file)

    def sees(self, file: File, tree: Tree) -> bool:
        """Tell whether the caller has any business with a file, in what listings show."""
        return self.of_app(file) and tree.role(self.caller.user, file) is not None

    def find(self, file_id: str, *, all_drives: bool, needs: str = "reader") -> File:
        """Return a file on which the caller has a role; DriveError where there is none or the role is less.

        Without `supportsAllDrives` an app doesn't see shared drives at all, see
        https://developers.google.com/workspace/drive/api/guides/enable-shareddrives.
        """
        file = self.state.root(self.caller.user) if file_id == "root" else self.state.now.files.get(file_id)
        if file is None or (file.drive_id is not None and not all_drives):
            raise not_found(file_id)
        role = self.role(file)
        if role is None:
            raise not_found(file_id)
        if not self.of_app(file):
            if needs == "reader":
                raise not_found(file_id)
            raise forbidden(
                "appNotAuthorizedToFile",
                f"The user has not granted the app {self.caller.app} write access to the file {file_id}.",
            )
        if not at_least(role, needs):
            raise no_permission(file_id)
        return file

    def find_drive(self, drive_id: str, *, needs: str = "reader") -> File:
        """Return the top of a shared drive of which the caller is a member; DriveError where there is none."""
        if drive_id not in self.state.drives:
            raise drive_not_found(drive_id)
        drive = self.state.now.files[drive_id]
        role = self.role(drive)
        if role is None:
            raise drive_not_found(drive_id)
        if not at_least(role, needs):
            raise no_permission(drive_id)
        return drive

    def check_storage(self, owner: str | None, more: int, limit: int) -> None:
        """Refuse more bytes than a user has room for; a service account has room for nothing.

        https://developers.google.com/workspace/drive/api/guides/handle-errors
        """
        if owner is None:
            return
        if self.caller.service_account and owner == self.caller.user:
            raise DriveError(
                403,
                "storageQuotaExceeded",
                "Service Accounts do not have storage quota. Leverage shared drives "
                "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), "
                "or use OAuth delegation "
                "(http://support.google.com/a/answer/7281227) instead.",
            )
        if self.state.used(owner) + more > limit:
            raise forbidden("storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")
