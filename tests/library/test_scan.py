from __future__ import annotations

import os
from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.library.scan import Kind, is_gone, kind_of, scan

from .conftest import picture, write


def names(root: Path, *paths: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in scan(paths or [root]).sources]


def test_kinds_by_suffix_in_any_case() -> None:
    assert kind_of("/a/B.JPeG") is Kind.IMAGE
    assert kind_of("/a/b.mkv") is Kind.VIDEO
    assert kind_of("/a/b.md") is Kind.TEXT
    assert kind_of("/a/b.jsonl") is Kind.ITEMS
    assert kind_of("/a/png") is None
    assert kind_of("/a/b.png.part") is None


def test_a_folder_is_walked_in_order_and_the_rest_counted(media: Path) -> None:
    found = scan([media])
    assert names(media) == ["a.png", "notes.md", "sub/b.jpg", "sub/clip.mp4"]
    assert found.skipped == {str(media / "table.csv")}
    assert found.roots == [str(media)]
    source = found.sources[str(media / "a.png")]
    facts = (media / "a.png").stat()
    assert (source.kind, source.size, source.mtime_ns) == (
        Kind.IMAGE, facts.st_size, facts.st_mtime_ns,
    )  # fmt: skip


def test_overlapping_paths_count_once(media: Path) -> None:
    found = scan([media / "sub", media, media / "a.png", media / "sub" / ".." / "a.png"])
    assert sorted(found.sources) == sorted(scan([media]).sources)
    assert len(found.skipped) == 1


def test_relative_paths_become_absolute(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(media / "sub")
    assert list(scan([Path("b.jpg"), Path("../a.png")]).sources) == [
        str(media / "sub" / "b.jpg"), str(media / "a.png"),
    ]  # fmt: skip


def test_hidden_names_and_item_files_only_when_named(media: Path) -> None:
    hidden = picture(media / ".thumbs" / "t.png")
    items = write(media / "items.jsonl", "{}")
    assert not {str(hidden), str(items)} & scan([media]).sources.keys()
    assert str(items) in scan([media]).skipped
    assert set(scan([hidden, items]).sources) == {str(hidden), str(items)}
    for both in ([media, items], [items, media]):
        assert str(items) in scan(both).sources
        assert str(items) not in scan(both).skipped


def test_what_is_left_out(media: Path) -> None:
    found = scan([media], leave_out={str(media / "sub"), str(media / "table.csv")})
    assert [Path(path).name for path in found.sources] == ["a.png", "notes.md"]
    assert not found.skipped


def test_a_link_loop_is_noted_and_left(media: Path) -> None:
    (media / "sub" / "up").symlink_to(media, target_is_directory=True)
    found = scan([media])
    assert found.notes == {str(media / "sub" / "up"): "leads back to a folder above it"}
    assert len(found.sources) == 4
    assert not found.failed


def test_a_linked_folder_is_followed(media: Path, tmp_path: Path) -> None:
    picture(tmp_path / "far" / "c.png")
    (media / "link").symlink_to(tmp_path / "far", target_is_directory=True)
    assert "link/c.png" in names(media)


def test_folders_that_link_to_each_other_are_not_read_without_end(tmp_path: Path) -> None:
    folders = [tmp_path / "root" / name for name in "abcdef"]
    for folder in folders:
        picture(folder / "1.png")
    for folder in folders:
        for other in folders:
            if other != folder:
                (folder / f"to_{other.name}").symlink_to(other, target_is_directory=True)
    found = scan([tmp_path / "root"])
    assert {str(folder / "1.png") for folder in folders} <= found.sources.keys()
    assert len(found.sources) <= 2 * len(folders)  # by its own name, and by that of one link
    assert "leads to a folder that another link led to" in found.notes.values()
    assert not found.failed


def test_links_that_lead_nowhere_fail_alone(media: Path) -> None:
    (media / "dangling.png").symlink_to(media / "nothing.png")
    (media / "self.png").symlink_to(media / "self.png")
    found = scan([media])
    assert set(found.failed) == {str(media / "dangling.png"), str(media / "self.png")}
    assert all(reason.startswith("cannot be read: ") for reason in found.failed.values())
    assert len(found.sources) == 4


def test_a_folder_that_cannot_be_listed_fails_alone(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = scan([media])
    assert found.failed == {str(media / "sub"): "cannot be read: Permission denied"}
    assert [Path(path).name for path in found.sources] == ["a.png", "notes.md"]


def test_a_name_that_no_store_can_hold(media: Path) -> None:
    raw = os.fsencode(media) + b"/\xff.png"
    with open(raw, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write(b"x")
    (path,) = scan([media]).failed
    assert path.endswith("/\\udcff.png")


def test_what_is_no_regular_file_is_skipped(media: Path) -> None:
    os.mkfifo(media / "pipe.png")
    assert str(media / "pipe.png") in scan([media]).skipped


def test_a_path_that_does_not_exist_stops_everything(media: Path) -> None:
    with pytest.raises(LibraryError, match=r"typo does not exist\. Nothing was indexed"):
        scan([media, media / "typo"])


def test_a_link_to_a_folder_that_is_away_stops_everything(media: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "drive", target_is_directory=True)
    with pytest.raises(LibraryError, match=r"link to .*drive, which is not there.*connect that"):
        scan([media, link])


def test_gone_means_certainly_gone(media: Path) -> None:
    (media / "self.png").symlink_to(media / "self.png")
    assert is_gone(str(media / "never.png"))
    assert is_gone(str(media / "a.png" / "below-a-file"))
    assert not is_gone(str(media / "a.png"))
    assert not is_gone(str(media / "self.png"))
    (media / "link.png").symlink_to(media / "a.png")
    assert not is_gone(str(media / "link.png"))
    (media / "folder.png").symlink_to(media / "sub")
    os.mkfifo(media / "pipe.png")
    for name in ("sub", "folder.png", "pipe.png"):
        assert is_gone(str(media / name))


def test_what_cannot_be_reached_is_not_gone(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **how: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    assert not is_gone(str(media / "a.png"))


def test_covers_knows_whole_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    found = scan([tmp_path / "a"])
    assert found.covers(str(tmp_path / "a" / "x"))
    assert found.covers(str(tmp_path / "a"))
    assert not found.covers(str(tmp_path / "ab"))
    found.roots = ["/"]
    assert found.covers("/anything")
