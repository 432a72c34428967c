"""A stand-in for rclone 1.60: each remote is a folder. What was seen of the real one, it does too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(os.environ["RCLONE_STAND_IN"])


def fail(code: int, text: str) -> None:
    print(f"2026/11/25 07:17:48 Failed to {sys.argv[-2]}: {text}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("-") and word != "1"]
    verb = words[0]
    remote, path = words[1].split(":", 1)
    if not (ROOT / remote).is_dir():
        fail(1, "didn't find section in config file")
    file = ROOT / remote / path
    wanted = os.environ.get("RCLONE_STAND_IN_FAILS", "")
    if wanted == "json cat" and verb == "cat" and file.suffix == ".json" and b"disk-ann-2" not in file.read_bytes():
        wanted = ""
    if wanted in (verb, f"{file.suffix[1:]} {verb}"):
        fail(1, "googleapi: Error 403: quota exceeded")
    if verb == "rcat":
        content = sys.stdin.buffer
        if wanted == "rcat in the middle":
            content.read(1000)
            fail(1, "no space left")
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whatever ends the stream: what came until then is the file.
        with file.open("wb") as out:
            while chunk := content.read(65536):
                out.write(chunk)
        if wanted == "a bit" and file.suffix == ".zst":
            flipped = bytearray(file.read_bytes())
            flipped[len(flipped) // 2] ^= 1
            file.write_bytes(flipped)
    elif verb == "cat":
        if not file.is_file():
            # A bucket's folders are but parts of names: one that isn't there is an empty one.
            if wanted == "bucket":
                return
            fail(3, "directory not found")
        content_bytes = file.read_bytes()
        if wanted == "cat in the middle" and file.suffix == ".zst":
            sys.stdout.buffer.write(content_bytes[: len(content_bytes) // 2])
            sys.stdout.buffer.flush()
            fail(1, "connection reset")
        sys.stdout.buffer.write(content_bytes)
    elif verb == "deletefile":
        if not file.is_file():
            fail(1, "is a directory or doesn't exist")
        file.unlink()
    else:
        fail(1, f"unknown command {verb}")


if __name__ == "__main__":
    main()
