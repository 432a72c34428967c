"""Contents of files, on disk: written and read as streams, so that memory does not grow with them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from .model import Content

# A resumable upload keeps whole blocks of this size, see
# https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable.
BLOCK = 256 * 1024


class Writer:
    """Content that is coming. What has not filled a block yet is held back, and is lost when the connection is."""

    def __init__(self, folder: Path) -> None:
        self.key = secrets.token_hex(16)
        self._path = folder / self.key
        self._file = self._path.open("wb")
        self._hashes = (hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256())
        self._held = bytearray()
        # Bytes that are kept whatever happens.
        self.kept = 0

    @property
    def received(self) -> int:
        return self.kept + len(self._held)

    def write(self, data: bytes) -> None:
        self._held += data
        whole = len(self._held) // BLOCK * BLOCK
        if whole:
            self._keep(whole)

    def _keep(self, size: int) -> None:
        data = bytes(self._held[:size])
        del self._held[:size]
        self._file.write(data)
        for item in self._hashes:
            item.update(data)
        self.kept += size

    def interrupt(self) -> None:
        """Forget what has not filled a block."""
        self._held.clear()

    def finish(self) -> Content:
        """Keep the rest, and return what is there now."""
        self._keep(len(self._held))
        self._file.close()
        md5, sha1, sha256 = (item.hexdigest() for item in self._hashes)
        return Content(self.key, self.kept, md5, sha1, sha256)

    def abandon(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class Contents:
    """The folder that they are in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # State is in memory, so what an earlier process left belongs to nothing.
        for path in folder.iterdir():
            path.unlink()

    def writer(self) -> Writer:
        return Writer(self.folder)

    def read(self, content: Content, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`. The file is open from the first one on."""
        with (self.folder / content.key).open("rb") as file:
            file.seek(start)
            while start < end:
                data = file.read(min(BLOCK, end - start))
                if not data:
                    return
                start += len(data)
                yield data

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)
