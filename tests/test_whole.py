import os
import subprocess
import sys
from pathlib import Path

import pytest

from unite.whole import assert_writable, whole, write_text


def test_the_file_appears_at_the_end_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    write_text(path, "newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_can_be_written_is_made_and_keeps_nothing_of_the_trial(tmp_path: Path) -> None:
    assert_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match="file"):
            assert_writable(place)


def break_off(path: Path, error: type[BaseException]) -> None:
    with whole(path) as draft:
        draft.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(error):
        break_off(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_is_the_one_that_comes_out(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "none" / "a.txt") as draft:
        draft.write_text("a")


def test_two_who_write_one_file_do_not_write_into_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole(path) as first:
        first.write_text("first, and longer")
        with whole(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first, and longer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("lasting", [True, False])
def test_it_is_seen_on_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    path, seen = tmp_path / "a.txt", []
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(path.exists()))
    write_text(path, "new", lasting=lasting)
    assert seen == [False] * lasting


def test_what_killed_writers_left_goes_with_a_writer_of_a_later_day(tmp_path: Path) -> None:
    write = "import os, sys, signal; from pathlib import Path; from unite.whole import whole\n"
    write += "with whole(Path(sys.argv[1])) as draft:\n    draft.write_text('half')\n"
    write += "    os.kill(os.getpid(), signal.SIGKILL)"
    path = tmp_path / "a[1].txt"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", write, str(path)])
    old, fresh = sorted(tmp_path.iterdir())
    os.utime(old, (1, 1))
    others = [tmp_path / f".a[1].txt{end}.partial" for end in ("", ".mine", ".more.01234567")]
    for other in others:
        other.write_text("")
        os.utime(other, (1, 1))
    write_text(path, "new")
    assert set(tmp_path.iterdir()) == {path, fresh, *others}  # fresh: of somebody at work


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_dots_lead_out_of_the_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "at").mkdir()
    (tmp_path / "at" / "link").symlink_to(tmp_path / "real" / "in", target_is_directory=True)
    write_text(tmp_path / "at" / "link" / ".." / "a.txt", "new")
    assert (tmp_path / "real" / "a.txt").exists()
