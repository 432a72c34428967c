"""Several things at a time, none of them begun when one has failed for good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def each(work: Callable[[Item], None], items: Iterable[Item], threads: int) -> None:
    """Do the work for each of the items, in their order, some at a time; raise the first error when all have ended.

    One at a time needs no thread: who is told to end then ends at once.
    """
    if threads == 1:
        for item in items:
            work(item)
        return
    todo = iter(items)
    lock = threading.Lock()
    errors: list[BaseException] = []

    def run() -> None:
        while True:
            with lock:
                if errors:
                    return
                try:
                    item = next(todo)
                except StopIteration:
                    return
            try:
                work(item)
            except BaseException as error:
                with lock:
                    errors.append(error)
                return

    workers = [threading.Thread(target=run, daemon=True) for _number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except BaseException as error:
        # We were told to end: what is at work ends after its call, or with the process.
        with lock:
            errors.append(error)
        raise
    if errors:
        raise errors[0]
