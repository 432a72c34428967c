"""Names of files as Drive and JSON can hold them, and back.

A file system takes any bytes but ``/`` and zero. Drive takes any text, also names that differ only in case or normal
form, and the same name twice. What is no text (invalid UTF-8) or can't be seen (control characters) becomes ``%`` and
two hexadecimal digits a byte. A ``%`` that two such digits follow is written ``%25``, so that no two names become one.
"""

from __future__ import annotations

import os
import re

# C0, DEL and C1 controls; lone surrogates, which stand for bytes that are no UTF-8; line separators, which some
# programs take for ends of lines; and the percent signs that would look like an escape.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]|%(?=[0-9A-F]{2})")


def encode(name: str) -> str:
    """Return a name, or a whole path, as Drive and JSON can hold it."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in os.fsencode(found[0])), name)


def decode(text: str) -> str:
    """Return the name that ``encode`` was given."""
    if "%" not in text:
        return text
    data = re.sub(rb"%[0-9A-F]{2}", lambda found: bytes.fromhex(found[0][1:].decode()), text.encode())
    return os.fsdecode(data)


def parent(path: str) -> str:
    """Return the path of the folder that holds a path; the home itself is the empty path."""
    return path.rpartition("/")[0]


def base(path: str) -> str:
    """Return the last name of a path."""
    return path.rpartition("/")[2]


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return f"{folder}/{name}" if folder else name


def below(path: str, folder: str) -> bool:
    """Tell whether a path is in a folder, at any depth."""
    return not folder or path.startswith(f"{folder}/")


def lineage(path: str) -> list[str]:
    """Return the folders that hold a path, from the home down; the home itself is not one of them."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
