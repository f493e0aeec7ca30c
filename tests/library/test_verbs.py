"""The verbs `index` and `search` from the outside, with a model of ten lines."""

from __future__ import annotations

import json
import sys
import types
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from unite.cli.index import _tell, _tell_json, index
from unite.cli.search import search
from unite.errors import UniteError
from unite.library.ingest import Outcome
from unite.library.library import Library

from .conftest import picture, write
from .fakes import FakeEncoder

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a verb as the command line does; only the model is another."""

    class Embedder(FakeEncoder):
        @classmethod
        def open(cls, name: str, **options: object) -> Embedder:
            encoder = cls(f"id-of-{name}")
            encoder.name = name
            return encoder

        def __enter__(self) -> Embedder:
            return self

        def __exit__(self, *error: object) -> None:
            return None

    fake = types.ModuleType("unite.embedder")
    fake.Embedder = Embedder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unite.embedder", fake)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("index")(index)
    app.command("search")(search)

    def run(*words: object) -> Result:
        threads = ["--workers", "0"] if words[0] == "index" else []
        return CliRunner().invoke(app, [*map(str, words), *threads])

    return run


@pytest.fixture
def filled(call: Call, media: Path, tmp_path: Path) -> Path:
    assert call("index", media, "-l", tmp_path / "lib").exit_code == 0
    return tmp_path / "lib"


def refusal(result: Result) -> str:
    assert isinstance(result.exception, UniteError), result.output
    return str(result.exception)


def test_index_makes_a_library_and_counts(call: Call, media: Path, tmp_path: Path) -> None:
    result = call("index", media, "-l", tmp_path / "lib")
    assert result.exit_code == 0
    assert result.stdout == "4 added, 0 changed, 0 kept, 0 moved, 0 removed, 1 skipped, 0 failed\n"
    assert Library.open(tmp_path / "lib").facts.model == "mini"
    assert "4 kept" in call("index", media, "-l", tmp_path / "lib").stdout


def test_index_exits_3_when_a_file_is_broken_and_names_it(
    call: Call, media: Path, tmp_path: Path
) -> None:
    write(media / "bad.png", "broken")
    result = call("index", media, "-l", tmp_path / "lib")
    assert result.exit_code == 3
    assert "1 failed" in result.stdout
    assert f"failed: {media / 'bad.png'}: cannot be decoded" in result.stderr
    assert Library.open(tmp_path / "lib").store.count() == 5


def test_index_lists_the_first_failures_and_counts_the_rest(call: Call, tmp_path: Path) -> None:
    for n in range(25):
        write(tmp_path / "many" / f"{n:02}.png", "broken")
    result = call("index", tmp_path / "many", "-l", tmp_path / "lib")
    assert result.stderr.count("failed: ") == 21
    assert "5 more" in result.stderr
    found = json.loads(call("index", tmp_path / "many", "-l", tmp_path / "lib", "--json").stdout)
    assert len(found["failed"]) == 25


def test_index_json_is_the_whole_outcome(call: Call, media: Path, tmp_path: Path) -> None:
    result = call("index", media, "-l", tmp_path / "lib", "--json")
    assert json.loads(result.stdout) == {
        "added": 4, "changed": 0, "kept": 0, "moved": 0, "removed": 0, "skipped": 1,
        "kinds_skipped": {".csv": 1}, "embedded": 5, "failed": {}, "notes": {},
    }  # fmt: skip


def test_kinds_of_skipped_files_are_told_once_while_watching(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = Outcome(skipped=3, kinds_skipped={".cr3": 2, "no ending": 1})
    _tell(outcome)
    assert "skipped by kind: 2 .cr3, 1 no ending\n" in capsys.readouterr().err
    _tell(outcome, {".cr3"})
    assert capsys.readouterr().err == "skipped by kind: 1 no ending\n"
    _tell(outcome, {".cr3", "no ending"})
    assert capsys.readouterr().err == ""
    _tell_json(outcome, {".cr3"})
    assert json.loads(capsys.readouterr().out)["kinds_skipped"] == {".cr3": 2, "no ending": 1}


def test_index_opens_the_librarys_own_model(call: Call, media: Path, tmp_path: Path) -> None:
    where = ("-l", tmp_path / "lib")
    assert call("index", media, *where, "-m", "base-2b").exit_code == 0
    assert call("index", media, *where).exit_code == 0
    message = refusal(call("index", media, *where, "-m", "mini"))
    assert "id-of-base-2b" in message
    assert "id-of-mini" in message
    assert "-m base-2b" in message


def test_a_library_keeps_how_it_cuts_clips(
    call: Call, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PySceneDetect" not in call("index", media, "-l", tmp_path / "scenes").stderr
    assert Library.open(tmp_path / "scenes").facts.segmenting.how == "scenes"
    message = refusal(call("index", media, "-l", tmp_path / "scenes", "--segments", "whole"))
    assert "was made with --segments scenes, not whole" in message
    assert call("index", media, "-l", tmp_path / "w", "--segments", "windows").exit_code == 0
    monkeypatch.setattr("unite.library.library.can_find_cuts", lambda: False)
    said = call("index", media, "-l", tmp_path / "none").stderr
    assert "equal windows, as PySceneDetect is not installed" in said
    assert Library.open(tmp_path / "none").facts.segmenting.how == "windows"
    assert call("index", media, "-l", tmp_path / "none").stderr == "skipped by kind: 1 .csv\n"


def test_index_without_what_it_needs_is_wrong_usage(call: Call, media: Path) -> None:
    assert call("index", media).exit_code == 2
    assert call("index", "-l", "lib").exit_code == 2


def test_search_json_keeps_its_contract(call: Call, filled: Path, media: Path) -> None:
    result = call("search", "-l", filled, "zzz", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["ranking"] == "per-modality"
    assert list(found) == ["ranking", "shares", "hits", "next"]
    assert found["shares"] == {"image": 0.5, "video": 0.25, "text": 0.25}
    assert found["next"] is None
    assert len(found["hits"]) == 4
    assert list(found["hits"][0]) == [
        "id", "path", "modality", "score", "start", "end", "segments", "copies",
    ]  # fmt: skip
    assert {hit["start"] for hit in found["hits"]} == {None}
    assert (
        json.loads(call("search", "-l", filled, "zzz", "--json", "--raw").stdout)["ranking"]
        == "cosine"
    )


def test_search_by_a_picture_and_a_clip(call: Call, filled: Path, media: Path) -> None:
    for flag, path in (("--image", media / "a.png"), ("--video", media / "sub" / "clip.mp4")):
        found = json.loads(call("search", "-l", filled, flag, path, "--json", "--raw").stdout)
        assert found["hits"][0]["path"] == str(path)
        assert found["hits"][0]["score"] == pytest.approx(1.0, abs=1e-6)


def test_words_and_a_picture_are_one_query(call: Call, filled: Path, media: Path) -> None:
    picture_alone = call("search", "-l", filled, "--image", media / "a.png", "--json").stdout
    fused = call("search", "-l", filled, "red", "--image", media / "a.png", "--json").stdout
    assert json.loads(picture_alone)["hits"] != json.loads(fused)["hits"]


def test_search_filters(call: Call, filled: Path) -> None:
    def labels(*words: str) -> list[str]:
        found = json.loads(call("search", "-l", filled, "x", "--json", *words).stdout)
        return sorted(hit["modality"] for hit in found["hits"])

    assert labels("--only", "image,video") == ["image", "image", "video"]
    assert labels("--only", "text", "-k", "1") == ["text"]
    assert labels("--where", "path:*.jpg") == ["image"]
    assert labels("--only", "text+image") == []


def test_search_prints_a_table(call: Call, filled: Path, media: Path) -> None:
    result = call("search", "-l", filled, "zzz")
    head, *lines = result.stdout.strip().splitlines()
    assert head.split() == ["rank", "score", "modality", "path", "times", "text", "also"]
    assert str(media / "sub" / "clip.mp4") in result.stdout
    assert "interleaved" in lines[-1]
    assert "ranked by cosine" in call("search", "-l", filled, "zzz", "--raw").stdout


def test_a_path_is_no_markup(call: Call, tmp_path: Path) -> None:
    odd = picture(tmp_path / "[bold]odd[/bold]" / "a[1].png")
    call("index", odd.parent, "-l", tmp_path / "lib")
    assert str(odd) in call("search", "-l", tmp_path / "lib", "x").stdout


def test_no_control_character_reaches_the_terminal(call: Call, tmp_path: Path) -> None:
    controls = "".join(chr(code) for code in (*range(1, 0x20), *range(0x7F, 0xA0)))
    folder = tmp_path / "media"
    picture(folder / f"{controls}odd.png", "red")
    write(folder / f"{controls}bad.png", "broken")
    write(folder / "note.txt", "be\x1b]0;title\x07fore\nafter\x9b31m")
    told = call("index", folder, "-l", tmp_path / "lib")
    found = call("search", "-l", tmp_path / "lib", "x")
    for said in (told.stderr, found.stdout):
        assert not {char for char in said if unicodedata.category(char) == "Cc"} - {"\n"}
    assert "odd.png" in found.stdout
    assert "be]0;titlefore after31m" in found.stdout
    assert "cannot be decoded" in told.stderr


def test_nothing_found_is_said_on_stderr(call: Call, filled: Path) -> None:
    result = call("search", "-l", filled, "x", "--where", "path:nowhere")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing in the library" in result.stderr


def test_search_writes_a_contact_sheet(
    call: Call, filled: Path, media: Path, tmp_path: Path
) -> None:
    write(media / "sub" / "clip.mp4", b"no clip any more")
    result = call("search", "-l", filled, "<b>words", "--html", tmp_path / "sheet.html", "--json")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;words" in page
    assert page.count('<li class="card') == 4
    assert "cannot be shown" in page  # the clip of this test is none
    assert json.loads(result.stdout)["hits"]


def test_search_refuses_what_cannot_work(
    call: Call, filled: Path, media: Path, tmp_path: Path
) -> None:
    assert "nothing to search for" in refusal(call("search", "-l", filled))
    assert "nothing to search for" in refusal(call("search", "-l", filled, ""))
    assert "none.png is not a file" in refusal(call("search", "-l", filled, "--image", "none.png"))
    assert "unite index PATH -l" in refusal(call("search", "-l", tmp_path / "none", "x"))
    assert "'sound'" in refusal(call("search", "-l", filled, "x", "--only", "sound"))
    assert "-m mini" in refusal(call("search", "-l", filled, "x", "-m", "other"))
    assert call("search", "x").exit_code == 2
    assert call("search", "-l", filled, "x", "-k", "0").exit_code == 2


def test_an_empty_library_is_refused_before_a_model_is_opened(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing").mkdir()
    call("index", tmp_path / "nothing", "-l", tmp_path / "lib")
    monkeypatch.setitem(sys.modules, "unite.embedder", None)
    assert "is empty" in refusal(call("search", "-l", tmp_path / "lib", "x"))


def answer(call: Call, library: Path, *words: object) -> dict[str, list[dict[str, object]]]:
    result = call("search", "-l", library, *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, object]]] = json.loads(result.stdout)
    return found


def ids(call: Call, library: Path, *words: object) -> list[object]:
    return [hit["id"] for hit in answer(call, library, *words)["hits"]]


def test_parts_of_a_file_and_copies_are_one_hit(call: Call, filled: Path, media: Path) -> None:
    (media / "twin.png").write_bytes((media / "a.png").read_bytes())
    call("index", media, "-l", filled)
    hits = {hit["path"]: hit for hit in answer(call, filled, "words")["hits"]}
    assert len(hits) == 4
    assert hits[str(media / "notes.md")]["segments"] == 1
    twins = {str(media / "a.png"), str(media / "twin.png")}
    (shown,) = twins & hits.keys()
    assert hits[shown]["copies"] == [*(twins - {shown})]
    everything = answer(call, filled, "words", "--all-segments")["hits"]
    assert len(everything) == 6
    assert "segments" not in everything[0]
    table = call("search", "-l", filled, "words").stdout
    assert "+1 part" in table
    assert "+1 copy" in table


def test_pages_follow_each_other(call: Call, filled: Path) -> None:
    whole = ids(call, filled, "words")
    assert ids(call, filled, "words", "-k", 3) == whole[:3]
    assert answer(call, filled, "words", "-k", 3)["next"] == 3
    last = answer(call, filled, "words", "-k", 3, "--page", 2)
    assert [hit["id"] for hit in last["hits"]] == whole[3:]
    assert last["next"] is None
    printed = call("search", "-l", filled, "words", "-k", 3, "--page", 2).stdout
    assert printed.splitlines()[3].split()[0] == "4"
    assert "more: --page 2" in call("search", "-l", filled, "words", "-k", 3).stdout
    beyond = call("search", "-l", filled, "words", "--page", 9)
    assert (beyond.exit_code, beyond.stdout) == (0, "")
    assert "no page 9" in beyond.stderr


def test_words_that_name_a_modality_are_heeded_and_it_is_said(call: Call, filled: Path) -> None:
    result = call("search", "-l", filled, "find the clip where it rains")
    assert result.stdout.strip().splitlines()[2].split()[2] == "video"
    assert "most places go to the one that the words name" in " ".join(result.stdout.split())
    assert "image 2, video 1, text 1 of 4" in " ".join(result.stdout.split())
    assert answer(call, filled, "find the clip where it rains")["ranking"] == "intent"
    instructed = ("it rains", "--instruction", "find the clip that shows this:")
    assert answer(call, filled, *instructed)["ranking"] == "intent"


def test_more_like_something_in_the_library(call: Call, filled: Path, media: Path) -> None:
    photo = media / "a.png"
    found = ids(call, filled, "--like", photo)
    assert str(photo) not in found
    assert len(found) == 3
    assert ids(call, filled, "--plus", f"like:{photo}") == found
    assert "holds nothing named x.png" in refusal(call("search", "-l", filled, "--like", "x.png"))


def test_sums_and_differences(call: Call, filled: Path, media: Path, tmp_path: Path) -> None:
    photo, other = media / "a.png", media / "sub" / "b.jpg"
    page = tmp_path / "sheet.html"
    asked = ["--image", photo, "--minus", f"0.9*image:{other}", "--plus", "0.1*text:snow"]
    found = ids(call, filled, *asked, "--raw", "--exact", "--html", page)
    assert (found[0], found[-1]) == (str(photo), str(other))
    assert "− 0.9·" in page.read_text(encoding="utf-8")
    assert "cancel" in refusal(
        call("search", "-l", filled, "--image", photo, "--minus", f"image:{photo}")
    )
    assert "nothing to search for" in refusal(call("search", "-l", filled, "--minus", "text:x"))
    assert "no kind" in refusal(call("search", "-l", filled, "x", "--plus", "sound:x"))


def test_the_first_hit_is_opened(
    call: Call, filled: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", lambda path: opened.append(path) or 0)
    call("search", "-l", filled, "--image", media / "a.png", "--raw", "--open")
    assert opened == [str(media / "a.png")]
    call("search", "-l", filled, "x", "--where", "path:nowhere", "--open")
    assert len(opened) == 1
    monkeypatch.setattr(typer, "launch", lambda path: 1)
    assert "Nothing here opens" in refusal(call("search", "-l", filled, "x", "--open"))
