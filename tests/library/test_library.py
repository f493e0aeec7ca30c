from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.library import library as module
from unite.library.ingest import ingest
from unite.library.library import FACTS, VECTORS, Library
from unite.library.progress import FILE as PROGRESS
from unite.library.segments import Segmenting

from .conftest import new_library, write
from .fakes import DIM, FakeEncoder


def test_a_library_remembers_its_model(tmp_path: Path) -> None:
    made = new_library(tmp_path / "deep" / "lib", mixed_gallery=True)
    again = Library.open(tmp_path / "deep" / "lib", model_id="id-of-fake", dim=DIM)
    assert again.facts == made.facts
    assert (again.facts.model, again.facts.dim, again.facts.mixed_gallery) == ("fake", DIM, True)
    assert json.loads((again.path / FACTS).read_text())["format"] == 1


def test_a_model_that_changed_under_its_name_is_told(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib", model="mini")
    with pytest.raises(LibraryError, match=r"Use -m mini; if that is what was given, it has chang"):
        made.check("id-of-a-later-one", DIM)


def test_two_libraries_do_not_share_a_table(tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    first = new_library(tmp_path / "first", store=shared)
    assert Library.open(first.path).store.count() == 0
    second = new_library(tmp_path / "second", store=shared, model_id="id-of-other")
    with pytest.raises(LibraryError, match=r"another library's, which was made while .*first"):
        Library.open(first.path)
    assert Library.open(second.path).facts.model_id == "id-of-other"


def test_a_library_of_an_earlier_version_opens_without_its_tables_name(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib")
    row = json.loads((made.path / FACTS).read_text())
    assert row.pop("table") == made.store.identity != ""
    (made.path / FACTS).write_text(json.dumps(row))
    assert Library.open(made.path).facts.table == ""


def test_two_dots_lead_out_of_the_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "in", target_is_directory=True)
    made = new_library(tmp_path / "link" / ".." / "lib")
    assert Library.open(made.path).store.count() == 0
    assert Library.open(tmp_path / "real" / "lib").facts == made.facts


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\udcffb"])
def test_names_that_no_store_can_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="Name it otherwise"):
        new_library(tmp_path / name)


@pytest.mark.parametrize("name", ["s3:", "a b", "lib#1", "写真\u3000集", "my%20lib"])
def test_other_names_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    new_library(Path(name))
    assert Library.open(Path(name)).store.count() == 0


def test_another_model_is_refused_with_both_ids_and_the_remedy(tmp_path: Path) -> None:
    new_library(tmp_path / "lib")
    with pytest.raises(LibraryError) as caught:
        Library.open(tmp_path / "lib", model_id="id-of-other", dim=DIM)
    for word in ("id-of-fake", "id-of-other", "-m fake", "new library"):
        assert word in str(caught.value)
    with pytest.raises(LibraryError, match="13 numbers"):
        Library.open(tmp_path / "lib").check("id-of-fake", DIM + 1)


def test_no_library_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"none does not exist\. Make one: unite index"):
        Library.open(tmp_path / "none")
    with pytest.raises(LibraryError, match="is not a library"):
        Library.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "has format None"),
        ('{"format": 2}', "has format 2, this version of unite reads 1"),
        ('{"format": 1, "model_id": "x", "model": 3, "dim": 3}', "lacks a sound 'model'"),
    ],
)
def test_unsound_facts_are_named(tmp_path: Path, text: str, words: str) -> None:
    made = new_library(tmp_path / "lib")
    (made.path / FACTS).write_text(text)
    with pytest.raises(LibraryError, match=words):
        Library.open(made.path)


def test_vectors_that_are_gone_are_named(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib")
    shutil.rmtree(made.path / VECTORS)
    with pytest.raises(LibraryError, match="no table of vectors"):
        Library.open(made.path)


def test_a_library_is_not_made_twice_nor_over_a_file(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib")
    with pytest.raises(LibraryError, match="is a library already"):
        new_library(made.path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="No library can be made in"):
        new_library(tmp_path / "file")


def test_a_half_made_library_is_none_and_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lib"

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            new_library(path)
    assert not Library.exists(path)
    shutil.rmtree(path / VECTORS / "records.lance" / "_versions")
    new_library(path)
    assert Library.open(path).store.count() == 0


def test_a_library_keeps_how_it_cuts_clips(tmp_path: Path) -> None:
    how = Segmenting(how="windows", shortest=1.5, longest=9)
    assert new_library(tmp_path / "lib", segmenting=how).facts.segmenting == how
    assert Library.open(tmp_path / "lib").facts.segmenting == how


def test_a_library_made_before_there_were_segments_leaves_clips_whole(tmp_path: Path) -> None:
    file = new_library(tmp_path / "lib").path / FACTS
    facts = json.loads(file.read_text())
    del facts["segmenting"], facts["store"]
    file.write_text(json.dumps(facts))
    opened = Library.open(tmp_path / "lib")
    assert opened.facts.segmenting.how == "whole"
    assert opened.store.count() == 0


@pytest.mark.parametrize("wrong", [{"how": "sideways"}, {"length": 3}, [], {"shortest": -1}])
def test_facts_about_clips_that_make_no_sense(tmp_path: Path, wrong: object) -> None:
    file = new_library(tmp_path / "lib").path / FACTS
    file.write_text(json.dumps({**json.loads(file.read_text()), "segmenting": wrong}))
    with pytest.raises(LibraryError):
        Library.open(tmp_path / "lib")


def test_one_writer(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib")
    other = Library.open(made.path)
    with made.writing(), pytest.raises(LibraryError, match="Another process"), other.writing():
        pass


def test_its_own_files_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = new_library(Path("lib"))
    ingest(made, [write(tmp_path / "a.txt", "words")], FakeEncoder())
    there = {str(path) for path in (tmp_path / "lib").iterdir()}
    assert there <= made.own_paths
    assert made.own_paths - there == {str(tmp_path / "lib" / PROGRESS)}


def test_vectors_under_another_name_are_its_own_too(tmp_path: Path) -> None:
    made = new_library(tmp_path / "lib", store="vecs")
    ingest(made, [write(tmp_path / "a.txt", "words")], FakeEncoder())
    outcome = ingest(made, [tmp_path], FakeEncoder())
    assert (outcome.kept, outcome.skipped) == (1, 0)


def test_an_empty_library_says_so(library: Library) -> None:
    with pytest.raises(LibraryError, match=r"is empty\. Fill it: unite index PATH"):
        library.check_filled()
