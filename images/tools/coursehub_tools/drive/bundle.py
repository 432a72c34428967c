"""Which folders go to Drive as one zip.

Drive takes about two new files a second from an identity, however small they are. A folder with n files of B bytes
takes n / W seconds by itself and 1 / W + B / R as a bundle, with W files and R bytes a second; but when one file
changes, all B bytes are sent again. So ``auto`` bundles a folder where that is still faster,

    (n - 1) / W > 2 * B / R,

and where its files are many and tiny, and none of them is a notebook: those are what students open in Drive, and in
Colab from there, and nobody opens one in a zip.

A bundle is a file on the scratch disk of who makes it, and of who imports it. So none is larger than MOST_BYTES, also
with ``always``: of a folder that is, the folders in it are bundled, and what is left goes file by file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import names
from .rows import BUNDLE, FILE, FOLDER, Row

NOTEBOOK = ".ipynb"

NEVER = "never"
AUTO = "auto"
ALWAYS = "always"
MODES = (AUTO, NEVER, ALWAYS)

# A hundred files are 50 seconds; below 16 KiB are logs, pickles and repositories' objects, few notebooks.
LEAST_FILES = 100
TINY_BYTES = 16 << 10
# A bundle is sent whole when anything in it changes, and takes its size of the node's disk meanwhile: a folder of 80 GB
# would fill it for all pods there. The pod's sizeLimit follows from this.
MOST_BYTES = 256 << 20
# What each thing takes beside its content, at most: two headers with its name, and a line of the index.
_HEADERS_BYTES = 512
BYTES_PER_SECOND = 10e6


@dataclass
class _Sum:
    files: int = 0
    bytes: int = 0
    notebooks: int = 0
    # What the zip takes where nothing in it can be made smaller.
    packed: int = 0


def choose(found: Iterable[Row], base: Iterable[Row], mode: str, writes_per_second: float) -> set[str]:
    """Return the folders to bundle, none of them in another. ``base`` is what is known to be in Drive.

    ``auto`` leaves a folder as it was exported before, whether bundled or not: a change of mind would send all again.
    One that has become too large is no bundle any more, also when it is smaller again.
    """
    rows = list(found)
    if mode == NEVER:
        return set()
    sums = _sums(rows)
    fit = {row.path for row in rows if row.kind == FOLDER and sums.get(row.path, _Sum()).packed <= MOST_BYTES}
    if mode == ALWAYS:
        good = fit
    else:
        kept = {row.path for row in base if row.kind == BUNDLE and not row.gone} & fit
        single = {row.path for row in base if row.kind == FOLDER and row.in_drive}
        good = kept | {path for path in fit - single if _faster(sums.get(path, _Sum()), writes_per_second)}
    return {path for path in good if not any(above in good for above in names.lineage(path))}


def _faster(total: _Sum, writes_per_second: float) -> bool:
    if total.notebooks or total.files < LEAST_FILES or total.bytes > total.files * TINY_BYTES:
        return False
    return (total.files - 1) / writes_per_second > 2 * total.bytes / BYTES_PER_SECOND


def _sums(rows: Iterable[Row]) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for row in rows:
        packed = _HEADERS_BYTES + 3 * len(names.encode(row.path).encode()) + (row.size if row.kind == FILE else 0)
        for folder in names.lineage(row.path):
            total = sums.setdefault(folder, _Sum())
            total.packed += packed
            if row.kind == FILE:
                total.files += 1
                total.bytes += row.size
                total.notebooks += row.path.endswith(NOTEBOOK)
    return sums
