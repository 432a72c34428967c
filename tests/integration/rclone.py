"""rclone, sent to the emulator through its HTTPS proxy.

rclone has no option for Drive's address, so it finds the emulator by HTTPS_PROXY, and trusts its authority by
SSL_CERT_FILE.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.drive import ALL, Emulator

ROBOT = "robot@project.iam.gserviceaccount.com"
TIMEOUT_S = 600.0


def shared_drive(drive: Emulator, folder: Path, name: str, robot: str = ROBOT) -> tuple[str, Any, Path]:
    """Make a course's shared drive with a service account as content manager.

    Returns the drive's id, a client of who owns it, and the account's key file, which is made in a folder.
    """
    key_file = folder / "key.json"
    key_file.write_text(json.dumps(drive.admin("POST", "/service-accounts", email=robot)), encoding="utf-8")
    owner = drive.user("staff@example.org")
    drive_id = owner.drives().create(requestId=name, body={"name": "Course"}).execute()["id"]
    member = {"type": "user", "role": "fileOrganizer", "emailAddress": robot}
    owner.permissions().create(fileId=drive_id, body=member, **ALL).execute()
    return drive_id, owner, key_file


def way(drive: Emulator) -> Mapping[str, str]:
    """Return the environment in which Google's names lead to the emulator."""
    return {"HTTPS_PROXY": f"http://127.0.0.1:{drive.ports['proxy-port']}", "SSL_CERT_FILE": drive.ports["ca"]}


@dataclass
class Rclone:
    """rclone with a service account, and options for all that it does."""

    drive: Emulator
    key_file: Path
    options: tuple[str, ...]

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [
                *("rclone", *arguments, f"--drive-service-account-file={self.key_file}"),
                *("--drive-scope=drive", "--config=/dev/null", *self.options),
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(self.key_file.parent), **way(self.drive)},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert not check or result.returncode == 0, result.stderr
        return result


def transferred(result: subprocess.CompletedProcess[str]) -> int:
    """Return how many files rclone says that it has sent."""
    found = re.findall(r"Transferred:\s+(\d+) / \d+, ", result.stderr)
    return int(found[-1]) if found else 0
