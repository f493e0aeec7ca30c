"""The verbs `index` and `search` from the outside, with a model of ten lines."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from unite.cli.index import index
from unite.cli.search import search
from unite.errors import UniteError
from unite.library.library import Library

from .conftest import picture, write
from .fakes import FakeEncoder

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a verb as the command line does; only the model is another."""

    class Embedder(FakeEncoder):
        @classmethod
        def open(cls, name: str) -> Embedder:
            encoder = cls(f"id-of-{name}")
            encoder.name = name
            return encoder

    fake = types.ModuleType("unite.embedder")
    fake.Embedder = Embedder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unite.embedder", fake)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("index")(index)
    app.command("search")(search)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


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
        "embedded": 5, "failed": {}, "notes": {},
    }  # fmt: skip


def test_index_opens_the_librarys_own_model(call: Call, media: Path, tmp_path: Path) -> None:
    where = ("-l", tmp_path / "lib")
    assert call("index", media, *where, "-m", "base-2b").exit_code == 0
    assert call("index", media, *where).exit_code == 0
    message = refusal(call("index", media, *where, "-m", "mini"))
    assert "id-of-base-2b" in message
    assert "id-of-mini" in message
    assert "-m base-2b" in message


def test_index_without_what_it_needs_is_wrong_usage(call: Call, media: Path) -> None:
    assert call("index", media).exit_code == 2
    assert call("index", "-l", "lib").exit_code == 2


def test_search_json_keeps_its_contract(call: Call, filled: Path, media: Path) -> None:
    result = call("search", "-l", filled, "words", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["ranking"] == "per-modality"
    assert len(found["hits"]) == 5
    assert list(found["hits"][0]) == ["id", "path", "modality", "score", "start", "end"]
    assert {hit["start"] for hit in found["hits"]} == {None}
    assert (
        json.loads(call("search", "-l", filled, "words", "--json", "--raw").stdout)["ranking"]
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
    result = call("search", "-l", filled, "words")
    head, *lines = result.stdout.strip().splitlines()
    assert head.split() == ["rank", "score", "modality", "path", "times", "text"]
    assert str(media / "sub" / "clip.mp4") in result.stdout
    assert "interleaved" in lines[-1]
    assert "ranked by cosine" in call("search", "-l", filled, "words", "--raw").stdout


def test_a_path_is_no_markup(call: Call, tmp_path: Path) -> None:
    odd = picture(tmp_path / "[bold]odd[/bold]" / "a[1].png")
    call("index", odd.parent, "-l", tmp_path / "lib")
    assert str(odd) in call("search", "-l", tmp_path / "lib", "x").stdout


def test_nothing_found_is_said_on_stderr(call: Call, filled: Path) -> None:
    result = call("search", "-l", filled, "x", "--where", "path:nowhere")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing in the library" in result.stderr


def test_search_writes_a_contact_sheet(call: Call, filled: Path, tmp_path: Path) -> None:
    result = call("search", "-l", filled, "<b>words", "--html", tmp_path / "sheet.html", "--json")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;words" in page
    assert page.count('<li class="card') == 5
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
