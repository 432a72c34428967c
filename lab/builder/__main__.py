"""The command: ``python3 -m builder [TARGET …]`` in the folder ``lab``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from . import recipe
from .graph import BuildError, Runner


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="builder", description=__doc__)
    parser.add_argument("targets", nargs="*", help="steps to build, with all they need (default: everything)")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the artefacts")
    parser.add_argument("--source", choices=("lab", "registry"), default="lab", help="where base images come from")
    parser.add_argument("--engine", choices=("podman", "docker"), default="podman")
    parser.add_argument("--plan", action="store_true", help="tell what would be built, and build nothing")
    parser.add_argument("--result", type=Path, help="file to write the outcome to, as JSON")
    return parser.parse_args()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Build the targets; return the exit code: 0 built or at hand, 1 failed, 130 interrupted."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = recipe.Settings(arguments.cache.resolve(), arguments.source, arguments.engine)
        steps = recipe.steps(settings)
        targets = arguments.targets or list(steps)
        runner = Runner(settings.cache, steps, lambda text: print(text, flush=True))
        if arguments.plan:
            outcome: dict[str, object] = {"missing": runner.missing(targets)}
        else:
            settings.container_engine.prepare()
            done = runner.run(targets)
            outcome = {"built": done.built}
        outcome["artefacts"] = recipe.artefacts(settings, steps, targets)
        if arguments.result:
            arguments.result.write_text(json.dumps(outcome), encoding="utf-8")
        elif arguments.plan:
            print(json.dumps(outcome, indent=2))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: what is complete is kept, the next run goes on from there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
