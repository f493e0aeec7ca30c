from __future__ import annotations

import base64
import hashlib
import io
import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from unite.errors import MediaError
from unite.media.source import Limits, file_digest, file_state, open_source


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b#c%20.bin"
    path.write_bytes(b"some bytes")
    return path


def test_a_path_stands_for_itself(file: Path) -> None:
    assert open_source(str(file), Limits()) == (str(file), file)


def test_a_file_address_is_a_path(file: Path) -> None:
    name, source = open_source(file.as_uri(), Limits())
    assert source == file
    assert name == file.as_uri()


def test_a_state_is_of_the_file_that_is_opened(file: Path) -> None:
    for reference in (str(file), file.as_uri(), file.as_uri().replace("file:", "FILE:")):
        _, source = open_source(reference, Limits())
        assert isinstance(source, Path)
        facts = source.stat()
        assert file_state(reference) == (facts.st_size, facts.st_mtime_ns)


@pytest.mark.parametrize(
    "reference",
    [
        "no/such.png",
        "file:///no/such.png",
        "file://[",
        "http://x/a.png",
        "data:,a",
        "null\0",
        "a" * 5000,
    ],
)
def test_what_is_no_file_has_no_state(reference: str) -> None:
    assert file_state(reference) is None


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;BASE64,"])
def test_a_data_uri_holds_its_bytes(head: str) -> None:
    name, source = open_source(head + base64.b64encode(b"\x00\xffbytes").decode(), Limits())
    assert isinstance(source, io.BytesIO)
    assert source.read() == b"\x00\xffbytes"
    assert len(name) < 40


def test_a_data_uri_may_be_percent_encoded() -> None:
    _, source = open_source("data:,%00a%20b", Limits())
    assert isinstance(source, io.BytesIO)
    assert source.read() == b"\x00a b"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("http://example.org/a.png", "http addresses are not fetched"),
        ("HTTPS://example.org/a.png", "not fetched"),
        ("s3://bucket/a.png", "s3 addresses are not fetched"),
        ("no/such/file.png", "No such file"),
        ("file://[", "Invalid IPv6"),
        ("null\0character.png", "null"),
        ("a" * 5000, "too long"),
        ("", "is a folder"),
        (".", "is a folder"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,", "is empty"),
        ("data:image/png;base64,a", "not valid base64"),
        ("data:image/png;base64,a!bc", "not valid base64"),
        ("data:image/png;base64,äöü", "not valid base64"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(reference: str, says: str) -> None:
    with pytest.raises(MediaError, match=says) as caught:
        open_source(reference, Limits())
    assert caught.value.remedy


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(MediaError, match=r"empty\.png is empty"):
        open_source(str(tmp_path / "empty.png"), Limits())


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="no regular file"):
        open_source(str(tmp_path / "pipe.mp4"), Limits())


def test_bytes_are_limited_in_files_and_data_uris(file: Path) -> None:
    limits = Limits(max_bytes=9)
    with pytest.raises(MediaError, match="10 bytes; the limit is 9"):
        open_source(str(file), limits)
    for uri in ("data:;base64," + base64.b64encode(b"x" * 12).decode(), "data:," + "x" * 10):
        with pytest.raises(MediaError, match="the limit is 9"):
            open_source(uri, limits)


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [(0, 5, "no pixels"), (5, 0, "no pixels"), (30, 40, "at most 1,000"), (210, 1, "strip")],
)
def test_sizes_out_of_limits_are_refused(width: int, height: int, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        Limits(max_pixels=1000).check_size("it", width, height)


def test_sizes_at_the_limits_pass() -> None:
    limits = Limits(max_pixels=1000)
    limits.check_size("it", 25, 40)
    limits.check_size("it", 1, 1)
    limits.check_size("it", 200, 1)


def test_limits_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().max_pixels = 1  # type: ignore[misc]


def test_digest_is_the_files_sha256(file: Path) -> None:
    expected = hashlib.sha256(b"some bytes").hexdigest()
    assert file_digest(file) == file_digest(str(file)) == expected


def test_digest_of_a_missing_file_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        file_digest(tmp_path / "none")
