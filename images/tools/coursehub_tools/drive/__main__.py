"""The command: ``python -m coursehub_tools.drive <command>``, for one student by options or for many by a request.

    export    bring a home to Drive
    verify    see whether Drive has what the export's list says
    import    bring an export back onto an empty disk
    check     see whether the credentials and the folder will do, and change nothing
    count     count what the folder's shared drive has, which takes 500 000 items with its bin
    unbundle  unpack a bundle that was downloaded

A request is JSON in a file (``--request``) or in COURSEHUB_REQUEST. A line of progress now and then, at the end a JSON
object a student on a line of its own, and in the files of ``--results``.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from .. import result
from ..result import TOLD_TO_END, FailedError, because, say, shown
from . import awake, bundle, importing, request, runs

_COMMANDS = tuple(request.NEEDED)
# A folder in a folder in a folder: a descriptor for each, and for each thread.
_MOST_DESCRIPTORS = 65536


class StoppedError(BaseException):
    """The run was told to end."""


def _stop(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise StoppedError


class _Parser(argparse.ArgumentParser):
    """Makes a sentence of what argparse would say in three lines."""

    def error(self, message: str) -> Any:
        raise FailedError(f"{message}: see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m coursehub_tools.drive", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=_Parser)
    for name in _COMMANDS:
        one = commands.add_parser(name, allow_abbrev=False)
        one.add_argument("--request", type=Path, metavar="FILE", help="a request of many students; - for stdin")
        one.add_argument("--results", type=Path, metavar="FOLDER", help="where each student's result goes")
        one.add_argument("--drive-address", default="", metavar="URL", help="another Drive, for tests")
        one.add_argument("--drive-timeout", type=float, default=60.0, metavar="SECONDS", help="for one answer")
        one.add_argument("--drive-patience", type=float, default=900.0, metavar="SECONDS", help="without any answer")
        for option in ("student", "credentials", "subject", "folder", "name", "source", "disk", "state", "seed"):
            one.add_argument(f"--{option}")
        one.add_argument("--exclude", action="append", metavar="PATTERN", help="gitignore's syntax")
        one.add_argument("--bundle", choices=bundle.MODES)
        one.add_argument("--prune", action="store_true", default=None, help="put into the bin what is gone at home")
        one.add_argument("--look", action="store_true", default=None, help="look for what was changed in Drive")
        one.add_argument("--checksum", action="store_true", default=None, help="read each file, whatever its time says")
        one.add_argument("--partial", action="store_true", default=None, help="import what there is, if it isn't all")
        one.add_argument("--gone", action="store_true", default=None, help="import also what was gone at home")
        one.add_argument("--acknowledge-abuse", action="store_true", default=None, help="import what Google flagged")
        one.add_argument("--new", action="store_true", default=None, help="the disk was never exported before")
        for option in ("sample", "threads"):
            one.add_argument(f"--{option}", type=int)
        one.add_argument("--writes-per-second", type=float)
    one = commands.add_parser("unbundle", allow_abbrev=False)
    one.add_argument("file", type=Path)
    one.add_argument("into", type=Path)
    return parser


_RUN_OPTIONS = ("command", "request", "results", "drive_address", "drive_timeout", "drive_patience")


def _text(words: argparse.Namespace) -> str:
    """Return the request's text, made of the options for one student."""
    given = {name: value for name, value in vars(words).items() if name not in _RUN_OPTIONS and value is not None}
    if words.student is not None:
        return json.dumps({"students": [given]})
    if given:
        raise FailedError(f"--{next(iter(given)).replace('_', '-')} is for one --student: put it into the request")
    if words.request is None:
        text = os.environ.get("COURSEHUB_REQUEST", "")
        if not text:
            raise FailedError("nothing is asked for: give --student and more, --request, or COURSEHUB_REQUEST")
        return text
    try:
        return sys.stdin.read() if str(words.request) == "-" else words.request.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = because(error) if isinstance(error, OSError) else "it is no text"
        raise FailedError(f"the request '{shown(str(words.request))}' can't be read ({why})") from None


def _run(words: list[str]) -> dict[str, Any]:
    given = _parser().parse_args(words)
    if given.command == "unbundle":
        try:
            done = importing.unbundle(given.file, given.into)
        except OSError as error:
            raise FailedError(f"'{shown(str(error.filename))}' can't be used ({because(error)})") from None
        return {"files": done.files, "bytes": done.bytes}
    asked = request.read(_text(given), given.command)
    where = runs.Where(given.drive_address, given.drive_timeout, given.drive_patience)
    return runs.all_of(given.command, asked, where, given.results)


def main(words: list[str]) -> int:
    """Run a command, tell its result, return the exit code."""
    outcome: dict[str, Any] = {}
    code = 1
    try:
        signal.signal(signal.SIGTERM, _stop)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MOST_DESCRIPTORS), hard))
        # The library warns of each answer that is an error; ours say what comes of it.
        logging.getLogger("googleapiclient").addHandler(logging.NullHandler())
        logging.getLogger("googleapiclient").propagate = False
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        outcome = _run(words)
        failed = str(outcome.pop("failed", ""))
    except FailedError as error:
        outcome, failed = error.details, str(error)
    except (StoppedError, KeyboardInterrupt):
        failed = "it was told to end before it was done: run it again, it goes on where it was"
        code = TOLD_TO_END
    except Exception as error:
        failed = f"unexpected {type(error).__name__}: nothing more is known: report this with the pod's log"
    if failed:
        say(result.shown(failed, 2000))
    place = os.environ.get("COURSEHUB_RESULT")
    try:
        if place:
            result.write(Path(place), {**outcome, "failed": failed})
    except OSError as error:
        say(f"the result can't be written: {because(error)}")
        return 1
    return code if failed else 0


if __name__ == "__main__":
    awake.WATCH.start()
    ended = main(sys.argv[1:])
    if ended == TOLD_TO_END:
        # Threads are still at work. Python would wait for none of them, but may abort (134) while one of them prints.
        sys.stdout.flush()
        os._exit(ended)
    sys.exit(ended)
