import io
import threading
from pathlib import Path

import pytest
from PIL import Image
from tests.data_.sources.conftest import picture, table
from tests.media.conftest import write_clip

from unite.data.sources import Source, read_source
from unite.data.sources.extract import keep
from unite.errors import UniteError
from unite.media.suffixes import medium_of


def test_equal_content_is_one_file_and_is_not_written_again(tmp_path: Path) -> None:
    path = Path(keep(b"abc", tmp_path))
    assert path.read_bytes() == b"abc"
    before = path.stat().st_mtime_ns
    assert keep(b"abc", tmp_path) == str(path)
    assert path.stat().st_mtime_ns == before
    assert keep(b"abd", tmp_path) != str(path)


def test_a_file_cut_short_is_written_anew(tmp_path: Path) -> None:
    path = Path(keep(b"abc", tmp_path))
    path.write_bytes(b"a")
    keep(b"abc", tmp_path)
    assert path.read_bytes() == b"abc"


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    data = b"x" * 1_000_000
    threads = [threading.Thread(target=keep, args=(data, tmp_path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.read_bytes() == data


def test_where_nothing_can_be_written_the_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UniteError, match="Cannot write"):
        keep(b"abc", tmp_path / "file")
    path = table(tmp_path / "t.parquet", [{"q": "a", "c": {"bytes": picture()}}] * 3)
    source = Source(path=path, query="q", candidate="c")
    with pytest.raises(UniteError, match="Cannot write"):
        list(read_source(source, "s", tmp_path / "file"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_the_ending_is_told_by_the_bytes(tmp_path: Path, form: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, form)
    path = keep(file.getvalue(), tmp_path)
    assert medium_of(path) == "image"
    assert Image.registered_extensions()[Path(path).suffix] == form


@pytest.mark.parametrize("form", ["mp4", "mov", "matroska", "webm", "avi", "mpeg"])
def test_clips_are_told_from_pictures(tmp_path: Path, form: str) -> None:
    codec = {"webm": "libvpx", "mpeg": "mpeg1video"}.get(form, "mpeg4")
    clip = write_clip(tmp_path / "clip", 4, rate=25, codec=codec, container=form)
    assert medium_of(keep(Path(clip).read_bytes(), tmp_path)) == "video"
