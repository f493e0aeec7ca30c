import json
from pathlib import Path

import pytest
from tests.data_.sources.conftest import Read, bad, good, picture, put

from unite.errors import DataError
from unite.types import Clip, Modality


def row(words: str, **candidate: str) -> dict[str, object]:
    return {"query": {"text": words}, "candidate": candidate}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Three sets: text only, pictures beside the rows, clips named from the release's root."""
    root = tmp_path / "Unite-Base"
    put(root / "MSMARCO" / "metadata.json", json.dumps([row("a", text="b"), row("c", text="d")]))
    put(root / "MSCOCO" / "images" / "1.png", picture())
    put(
        root / "MSCOCO" / "metadata.json",
        json.dumps(
            [
                {**row("red", image="images/1.png"), "target_modal": "image"},
                {"query": {"text": "no candidate"}},
                row("blue", image="images/none.png"),
            ]
        ),
    )
    put(root / "InternVid" / "v.mp4", b"clip")
    put(root / "InternVid" / "metadata.json", json.dumps([row("clip", video="InternVid/v.mp4")]))
    put(root / "README.md", "read me")
    return root


def test_all_sets_beneath_a_folder_in_the_order_of_their_names(release: Path, read: Read) -> None:
    found = read(release)
    assert [pair.query.text for pair in good(found)] == ["clip", "red", "blue", "a", "c"]
    assert len(found) == 6
    (broken,) = bad(found)
    assert (broken.number, broken.id) == (2, "MSCOCO/metadata.json:2")
    assert "'candidate'" in broken.error
    assert {pair.source for pair in good(found)} == {"named"}


def test_paths_stand_beside_the_rows_or_at_the_root(release: Path, read: Read) -> None:
    clip, red, blue, *_ = good(read(release))
    assert clip.candidate.videos == (Clip(str(release / "InternVid" / "v.mp4")),)
    assert red.candidate.images == (str(release / "MSCOCO" / "images" / "1.png"),)
    assert blue.candidate.images == (str(release / "MSCOCO" / "images" / "none.png"),)
    assert red.target_modality is Modality.IMAGE


@pytest.mark.parametrize("inner", ["", "MSCOCO"])
def test_media_may_lie_elsewhere(release: Path, read: Read, tmp_path: Path, inner: str) -> None:
    put(tmp_path / "media" / inner / "images" / "1.png", picture())
    red, _ = good(read(release / "MSCOCO", media=tmp_path / "media"))
    assert Path(str(red.candidate.images[0])) == tmp_path / "media" / inner / "images" / "1.png"


def test_one_set_by_its_folder_its_file_or_its_name(release: Path, read: Read) -> None:
    whole = read(release / "MSCOCO")
    assert len(whole) == 3
    assert read(release / "MSCOCO" / "metadata.json") == whole
    assert read(release, subset="MSCOCO") == whole


def test_what_is_missing_is_named(release: Path, read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'MSCOCO'"):
        read(release, subset="MSCOC")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no metadata\.json"):
        read(tmp_path / "empty", kind="unite")


def test_paths_that_no_file_can_have_harm_nobody(read: Read, tmp_path: Path) -> None:
    rows = [row("long", image="x" * 5000), row("null", image="a\0b"), row("good", image="a.png")]
    put(tmp_path / "set" / "metadata.json", json.dumps(rows))
    assert [pair.query.text for pair in good(read(tmp_path / "set"))] == ["long", "null", "good"]


def test_a_linked_file_has_its_media_beside_the_link(read: Read, tmp_path: Path) -> None:
    """As a cache of the hub has them: links in folders, what they lead to elsewhere."""
    rows = put(tmp_path / "blobs" / "rows", json.dumps([row("a", image="images/0.png")]))
    red = put(tmp_path / "blobs" / "red", picture("red"))
    home = tmp_path / "snapshots" / "rev" / "MSCOCO"
    (home / "images").mkdir(parents=True)
    (home / "metadata.json").symlink_to(rows)
    (home / "images" / "0.png").symlink_to(red)
    for path in (home, home / "metadata.json"):
        (pair,) = good(read(path))
        assert pair.candidate.images == (str(home / "images" / "0.png"),)
