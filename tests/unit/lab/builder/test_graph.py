from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from builder.graph import BuildError, Job, Runner, Step, hash_files, keys, order
from hypothesis import given
from hypothesis import strategies as st


def nothing(_job: Job) -> None: ...


def step(name: str, *needs: str, build: Callable[[Job], None] = nothing, lane: str = "", **more: object) -> Step:
    return Step(name=name, lane=lane or name, build=build, needs=needs, **more)  # type: ignore[arg-type]


def graph(*steps: Step) -> dict[str, Step]:
    return {one.name: one for one in steps}


# The order.


def test_a_step_comes_after_all_that_it_needs() -> None:
    steps = graph(step("node", "go", "packages"), step("go"), step("packages", "debian"), step("debian"), step("other"))
    assert order(steps, ["node"]) == ["go", "debian", "packages", "node"]


@given(st.data())
def test_any_graph_without_a_circle_is_put_in_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    steps = {}
    for number in range(count):
        needs = data.draw(st.lists(st.integers(0, number - 1), unique=True)) if number else []
        steps[str(number)] = step(str(number), *map(str, needs))
    wanted = data.draw(st.lists(st.sampled_from(sorted(steps)), min_size=1, unique=True))
    found = order(steps, wanted)
    assert len(found) == len(set(found))
    assert set(wanted) <= set(found)
    assert all(found.index(need) < found.index(name) for name in found for need in steps[name].needs)


def test_a_step_that_is_not_there() -> None:
    with pytest.raises(BuildError, match="there is no step 'nod'; there are: debian, node"):
        order(graph(step("node"), step("debian")), ["nod"])


def test_steps_in_a_circle() -> None:
    with pytest.raises(BuildError, match="in a circle: a -> b -> a"):
        order(graph(step("a", "b"), step("b", "a")), ["a"])


# The keys.


def key(name: str, *steps: Step) -> str:
    return keys(graph(*steps), order(graph(*steps), [name]))[name]


def test_a_key_changes_with_all_that_goes_into_the_step(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one", encoding="utf-8")
    found = {
        key("a", step("a")),
        key("a", step("a", inputs=("flag",))),
        key("a", step("a", "b"), step("b")),
        key("a", step("a", "b"), step("b", inputs=("flag",))),
        key("a", step("a", files=(file,))),
    }
    file.write_text("two", encoding="utf-8")
    found.add(key("a", step("a", files=(file,))))
    assert len(found) == 6


def test_a_key_does_not_change_by_itself(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    steps = (step("a", "b", inputs=("x",), files=(tmp_path / "folder",)), step("b"))
    assert key("a", *steps) == key("a", *steps)


def test_a_moved_file_is_another_input_and_python_leftovers_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("x", encoding="utf-8")
    first = hash_files([folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/a.pyc").touch()
    assert hash_files([folder]) == first
    (folder / "a").rename(folder / "b")
    assert hash_files([folder]) != first


def test_the_same_files_elsewhere_are_the_same_input(tmp_path: Path) -> None:
    hashes = set()
    for place in ("one", "two"):
        folder = tmp_path / place / "folder"
        folder.mkdir(parents=True)
        (folder / "file").write_text("x", encoding="utf-8")
        hashes.add(hash_files([folder]))
    assert len(hashes) == 1


# The runner.


def write(text: str) -> Callable[[Job], None]:
    return lambda job: (job.target / "out").write_text(text, encoding="utf-8") and None


class Built:
    """A cache, and runs over it; ``said`` is what was told."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.said: list[str] = []

    def __call__(self, steps: Mapping[str, Step], *wanted: str) -> list[str]:
        return sorted(self.runner(steps).run(wanted or list(steps)).built)

    def runner(self, steps: Mapping[str, Step]) -> Runner:
        return Runner(self.cache, steps, self.said.append)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path / "cache")


def test_a_second_run_builds_nothing(built: Built) -> None:
    steps = graph(step("a", "b", build=write("a")), step("b", build=write("b")))
    assert built(steps) == ["a", "b"]
    assert built(steps) == []


def test_a_step_reads_what_it_needs(built: Built) -> None:
    def copy(job: Job) -> None:
        write((job.paths["b"] / "out").read_text(encoding="utf-8") + "!")(job)

    runner = built.runner(graph(step("a", "b", build=copy), step("b", build=write("hello"))))
    assert (runner.run(["a"]).paths["a"] / "out").read_text(encoding="utf-8") == "hello!"


def test_what_is_missing_is_told_and_not_built(built: Built) -> None:
    steps = graph(step("a", "b"), step("b"))
    assert built(steps, "b") == ["b"]
    assert built.runner(steps).missing(["a"]) == ["a"]
    assert built.runner(steps).missing(["b"]) == []


def test_only_what_stands_on_a_change_is_built_again(built: Built) -> None:
    assert built(graph(step("a", "b"), step("b"), step("c"))) == ["a", "b", "c"]
    assert built(graph(step("a", "b"), step("b", inputs=("new",)), step("c"))) == ["a", "b"]


def fail(_job: Job) -> None:
    raise BuildError("no room")


def test_a_failure_leaves_nothing_half_built_and_the_next_run_goes_on(built: Built) -> None:
    def half(job: Job) -> None:
        write("half")(job)
        raise BuildError("no room")

    with pytest.raises(BuildError, match=r"^no room$"):
        built(graph(step("a", "b", build=half), step("b")))
    assert [path.name.partition("-")[0] for path in (built.cache / "artefacts").iterdir()] == ["b"]
    assert built(graph(step("a", "b"), step("b"))) == ["a"]


def test_nothing_is_begun_after_a_failure_but_what_runs_is_kept(built: Built) -> None:
    def slow(job: Job) -> None:
        # Until the runner knows of the failure, which is later than that the step has failed.
        for _attempt in range(12_000):
            if any("bad: failed (no room)" in line for line in built.said):
                break
            time.sleep(0.01)
        write("slow")(job)

    steps = graph(step("bad", build=fail), step("slow", build=slow), step("after", "slow"))
    with pytest.raises(BuildError):
        built(steps)
    assert built.runner(steps).missing(list(steps)) == ["bad", "after"]


def test_any_exception_is_one_sentence(built: Built) -> None:
    def broken(_job: Job) -> None:
        raise OSError("disk is full")

    with pytest.raises(BuildError, match="disk is full"):
        built(graph(step("a", build=broken)))


def test_lanes_run_side_by_side_and_the_steps_of_one_lane_do_not(built: Built) -> None:
    together = threading.Barrier(2)
    running: list[str] = []
    most: list[int] = []

    def meet(_job: Job) -> None:
        together.wait(120)

    def alone(job: Job) -> None:
        running.append(job.key)
        most.append(len(running))
        running.remove(job.key)

    built(graph(step("a", build=meet), step("b", build=meet)))
    built(graph(*(step(f"go-{number}", build=alone, lane="go") for number in range(5))))
    assert most == [1] * 5


def test_an_artefact_that_partly_lies_elsewhere_is_built_again_when_that_part_is_gone(built: Built) -> None:
    there = {"image"}
    steps = graph(step("image", intact=lambda _folder: bool(there)))
    assert built(steps) == ["image"]
    assert built(steps) == []
    there.clear()
    assert built(steps) == ["image"]


def test_progress_is_told_with_its_time(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.graph.time", SimpleNamespace(monotonic=lambda: 7.0))
    built(graph(step("a")))
    assert [line.partition("] ")[2] for line in built.said] == ["to build: a", "a: started", "a: built in 0 s (1 of 1)"]
    assert all(line.startswith("[  0:00] ") for line in built.said)
