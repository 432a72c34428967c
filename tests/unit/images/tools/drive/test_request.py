from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import __main__ as command
from coursehub_tools.drive import credentials, look, request, runs
from coursehub_tools.drive.client import LostError
from coursehub_tools.result import FailedError

CONSENT = {"type": "authorized_user", "client_id": "id", "client_secret": "s3cret", "refresh_token": "t0ken"}


@pytest.fixture
def usual(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "key.json").write_text(json.dumps(CONSENT), encoding="utf-8")
    (tmp_path / "home").mkdir()
    place = {"credentials": "key.json", "source": "home", "state": "state", "disk": "home"}
    return {name: str(tmp_path / path) for name, path in place.items()}


def read(usual: dict[str, Any], *students: Any, what: str = "export", **more: Any) -> list[request.Asked]:
    return request.read(json.dumps({**usual, **more, "students": students or [{"student": "ada"}]}), what)


def test_what_all_have_in_common_stands_beside_the_students(usual: dict[str, Any]) -> None:
    ada, bob = read(usual, {"student": "ada"}, {"student": "bob", "prune": True, "exclude": ["*.csv"]}, threads=2)
    assert (ada.student, ada.threads, ada.prune) == ("ada", 2, False)
    assert (bob.student, bob.threads, bob.prune, bob.exclude) == ("bob", 2, True, ("*.csv",))
    assert ada.identity == bob.identity


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the request is no JSON"),
        ("[]", "has no list 'students'"),
        ('{"students": []}', "has no list 'students', or an empty one"),
        ('{"students": [5]}', "student 1 of the request has no name"),
        ('{"students": [{"student": ""}]}', "student 1 of the request has no name"),
        ('{"students": [{"student": "ada"}]}', "ada: there are no credentials"),
        ('{"students": [{"student": "ada", "fodler": "x"}]}', "ada: the request has 'fodler', which is not known"),
        ('{"students": [{"student": "ada", "prune": "yes"}]}', "'prune' is \"yes\", and it is to be true or false"),
        ('{"students": [{"student": "ada", "threads": -1}]}', "'threads' is -1, and it is to be a whole number"),
        ('{"students": [{"student": "ada", "writes_per_second": 0}]}', "it is to be a number above 0"),
        ('{"students": [{"student": "ada", "exclude": "*.csv"}]}', "it is to be a list of texts"),
    ],
)
def test_a_request_that_is_none_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(FailedError) as caught:
        request.read(text, "export")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"bundle": "sometimes"}, "ada: bundle is 'sometimes', and there are auto, never, always"),
        ({"threads": 99}, "ada: threads is 99, and it is to be from 1 to 32"),
        ({"exclude": ["!"]}, "the course's exclude '!' can't be used"),
    ],
)
def test_values_that_can_not_be_are_named_with_their_student(
    usual: dict[str, Any], more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(FailedError) as caught:
        read(usual, **more)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("what", ["export", "import"])
def test_what_a_command_needs_is_asked_for(usual: dict[str, Any], what: str) -> None:
    needed = request.NEEDED[what][0]
    del usual[needed]
    with pytest.raises(FailedError, match=f"ada: the request has no '{needed}', which {what} needs"):
        read(usual, what=what)


def test_two_students_never_have_one_folder(usual: dict[str, Any]) -> None:
    twice = [{"student": "ada"}, {"student": "ada"}]
    with pytest.raises(FailedError, match="ada: the request names this student twice"):
        read(usual, *twice)
    with pytest.raises(FailedError, match="bob: the export would be called 'group' as that of ada is"):
        read(usual, {"student": "ada", "name": "group"}, {"student": "bob", "name": "group"}, folder="x")
    with pytest.raises(FailedError, match="bob: the export would be called 'ada' as that of ada is"):
        read(usual, {"student": "ada"}, {"student": "bob", "name": "ada"}, folder="x")
    assert len(read(usual, {"student": "ada", "folder": "x"}, {"student": "bob", "name": "ada", "folder": "y"})) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON: store the file as Google gave it"),
        ("[]", "is no JSON object"),
        ('{"type": "external_account_authorized_user"}', "is no key, no credential configuration and no consent"),
        ('{"type": "service_account", "private_key": "s3cret"}', "is no service account's key"),
        ('{"type": "authorized_user", "refresh_token": "t0ken"}', "has no client_id, client_secret"),
    ],
)
def test_bad_credentials_are_a_sentence_without_them(usual: dict[str, Any], content: str, sentence: str) -> None:
    Path(usual["credentials"]).write_text(content, encoding="utf-8")
    with pytest.raises(FailedError) as caught:
        credentials.load(Path(usual["credentials"]), "", "ada")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("ada: the credentials' file")
    assert "s3cret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the following arguments are required: command"),
        (["exprot"], "invalid choice: 'exprot'"),
        (["export"], "nothing is asked for"),
        (["export", "--prune"], "--prune is for one --student"),
        (["export", "--request", "/nowhere"], "the request '/nowhere' can't be read (No such file or directory)"),
        (["export", "--student", "ada"], "ada: there are no credentials"),
        (["check", "--request", "REQUEST", "--results", "/nowhere"], "'/nowhere' is no folder for the results"),
        (["unbundle", "/nowhere", "/"], "'/nowhere' can't be used (No such file or directory)"),
    ],
)
def test_bad_calls_are_one_line(
    words: list[str],
    sentence: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    usual: dict[str, Any],
) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({**usual, "students": [{"student": "ada"}]}), encoding="utf-8")
    words = [str(request) if word == "REQUEST" else word for word in words]
    monkeypatch.delenv("COURSEHUB_REQUEST", raising=False)
    monkeypatch.setenv("COURSEHUB_RESULT", str(tmp_path / "result"))
    assert command.main(words) == 1
    said = capfd.readouterr()
    assert said.err == ""
    assert sentence in said.out
    assert said.out.count("\n") == 1
    assert sentence in json.loads((tmp_path / "result").read_text(encoding="utf-8"))["failed"]


@pytest.mark.parametrize("what", ["check", "export", "import"])
def test_what_one_student_lacks_is_no_other_students_matter(
    usual: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{", encoding="utf-8")
    lacking = [
        {"student": "ada", "credentials": str(bad)},
        {"student": "bob", "credentials": "/no"},
        {"student": "cleo", "subject": "cleo@example.org"},
        {"student": "dan", "source": "/no/disk", "disk": "/no/disk"},
    ]
    lacking = lacking if what != "check" else lacking[:3]
    summary = runs.all_of(what, read(usual, *lacking, what=what), runs.Where(), None)
    assert summary["failed_students"] == [one["student"] for one in lacking]
    said = capsys.readouterr().out
    assert "ada: the credentials' file" in said
    assert "bob: the credentials' file '/no' can't be read" in said
    assert "is a consent, which can't act for 'cleo@example.org'" in said
    assert ("no disk can be read at /no/disk" in said) == (what != "check")


@pytest.mark.parametrize(("what", "asked"), [("check", 1), ("verify", 2)])
def test_that_there_is_no_way_to_drive_is_found_out_once(
    usual: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, asked: int
) -> None:
    tries: list[str] = []

    def unreachable(_drive: Any, student: str, _folder: str) -> str:
        tries.append(student)
        raise LostError(TimeoutError())

    monkeypatch.setattr(look, "shared_drive", unreachable)
    students = read(usual, {"student": "ada"}, {"student": "bob"}, what=what, folder="0A")
    summary = runs.all_of(what, students, runs.Where(), None)
    assert (len(tries), summary["failed_students"]) == (asked, ["ada", "bob"])
    assert (
        "bob: Drive does not answer (TimeoutError): see that the pods of exports reach Google"
        in capsys.readouterr().out
    )


def test_a_defect_that_one_student_meets_is_no_other_students_matter(
    usual: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "shared_drive", lambda _drive, student, _folder: {"ada": "0A"}[student])
    monkeypatch.setattr(look, "see_writable", lambda *_any: None)
    asked = read(usual, {"student": "bob"}, {"student": "ada"}, folder="0A")
    summary = runs.all_of("check", asked, runs.Where(), None)
    assert (summary["ready"], summary["failed_students"]) == (1, ["bob"])
