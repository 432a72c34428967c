from __future__ import annotations

import asyncio

from coursehub_hub.line import Line
from hypothesis import given
from hypothesis import strategies as st


async def settle() -> None:
    for _turn in range(5):
        await asyncio.sleep(0)


def test_who_comes_first_starts_first_and_the_others_know_their_place() -> None:
    async def run() -> None:
        line, begun = Line(2), []

        async def student(name: str) -> None:
            await line.enter(name)
            begun.append(name)

        tasks = [asyncio.ensure_future(student(name)) for name in "abcde"]
        await settle()
        assert begun == ["a", "b"]
        assert [line.place(name) for name in "abcde"] == [0, 0, 1, 2, 3]
        line.leave("b")
        await settle()
        assert begun == ["a", "b", "c"]
        assert [line.place(name) for name in "cde"] == [0, 1, 2]
        # One who goes away while waiting.
        tasks[3].cancel()
        await settle()
        assert line.place("e") == 1
        line.leave("a")
        line.leave("c")
        await settle()
        assert begun == ["a", "b", "c", "e"]
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_one_that_leaves_twice_or_never_came_gives_no_seat_away() -> None:
    async def run() -> None:
        line = Line(1)
        await line.enter("a")
        waiting = [asyncio.ensure_future(line.enter(name)) for name in "bc"]
        await settle()
        line.leave("x")
        line.leave("a")
        line.leave("a")
        await settle()
        assert [task.done() for task in waiting] == [True, False]
        line.leave("b")
        await settle()
        assert waiting[1].done()

    asyncio.run(run())


@given(
    st.lists(st.tuples(st.sampled_from(["come", "end", "cancel"]), st.integers(0, 11)), max_size=60), st.integers(1, 4)
)
def test_never_more_than_the_seats_and_nobody_is_forgotten(steps: list[tuple[str, int]], seats: int) -> None:
    async def run() -> None:
        line = Line(seats)
        tasks: dict[int, asyncio.Task[None]] = {}

        def starting() -> list[int]:
            return [who for who, task in tasks.items() if task.done() and not task.cancelled()]

        for step, who in steps:
            if step == "come" and who not in tasks:
                tasks[who] = asyncio.ensure_future(line.enter(who))
            elif step == "end" and who in starting():
                del tasks[who]
                line.leave(who)
            elif step == "cancel" and who in tasks and not tasks[who].done():
                tasks.pop(who).cancel()
            await settle()
            assert len(starting()) <= seats
            waiting = len(tasks) - len(starting())
            assert not waiting or len(starting()) == seats
        while tasks:
            (who, *_others) = starting()
            del tasks[who]
            line.leave(who)
            await settle()

    asyncio.run(run())
