from pathlib import Path

import pytest

from unite.whole import whole, write_text


def test_the_file_appears_at_the_end_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    write_text(path, "newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


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
