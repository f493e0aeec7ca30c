from pathlib import PurePath

from unite.library.scan import SUFFIXES, Kind
from unite.media.suffixes import IMAGES, TEXTS, VIDEOS, ending_of, medium_of, suffix_of


def test_a_name_stands_for_one_kind_whoever_asks() -> None:
    assert len(IMAGES | VIDEOS | TEXTS) == len(IMAGES) + len(VIDEOS) + len(TEXTS)
    assert {medium_of(f"a{suffix.upper()}") for suffix in IMAGES} == {"image"}
    assert {medium_of(f"a{suffix}") for suffix in VIDEOS} == {"video"}
    assert {medium_of(f"a{suffix}") for suffix in TEXTS} == {None}
    held = [SUFFIXES[kind] for kind in (Kind.IMAGE, Kind.VIDEO, Kind.TEXT)]
    assert held == [IMAGES, VIDEOS, TEXTS]


def test_bytes_tell_their_ending() -> None:
    assert suffix_of(b"\x89PNG\r\n") == ".png"
    assert suffix_of(b"\0\0\0\x20ftypavif") == ".avif"
    assert suffix_of(b"\0\0\0\x20ftypheic") == ".heic"
    assert suffix_of(b"\0\0\0\x20ftypmif1") == ".heif"
    assert suffix_of(b"\0\0\0\x20ftypisom") == ".mp4"
    assert suffix_of(b"\0\0\0\x08wide\0\0") == ".mov"
    assert suffix_of(b"RIFF1234WEBP") == ".webp"
    assert suffix_of(b"words") == ""


def test_a_file_is_counted_by_its_ending() -> None:
    endings = [ending_of(PurePath(name)) for name in ("a/b.CR3", "LICENSE", "x.tar.gz")]
    assert endings == [".cr3", "no ending", ".gz"]
