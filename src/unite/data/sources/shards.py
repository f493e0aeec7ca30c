"""WebDataset shards: tar files in which the members of one name make a sample.

By default a sample is one picture or clip with its caption: the member ``txt``, or ``caption`` or
``text`` of the member ``json``.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unite.data.sources.extract import keep
from unite.data.sources.sides import Part, pairs_of
from unite.data.sources.source import Row, Source
from unite.errors import DataError, did_you_mean
from unite.media.suffixes import medium_of

SUFFIXES = (".tar", ".tar.gz", ".tgz")
_CAPTIONS = ("caption", "captions", "text")


def files(source: Source) -> list[Path]:
    """The shards in order.

    Raises:
        DataError: There are none, one is missing, or the extra is not installed.
    """
    if source.path.is_dir():
        found = sorted(one for one in source.path.iterdir() if one.name.endswith(SUFFIXES))
    else:
        found = [Path(one) for one in _library().shardlists.expand_urls(str(source.path))]
    missing = [one for one in found if not one.is_file()]
    if missing or not found:
        raise DataError(
            f"There is no shard {missing[0]}." if missing else f"{source.path} holds no shard.",
            "Name a tar file, a folder of them, or train-{000..099}.tar.",
        )
    return found


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """A row for each sample of all shards.

    Raises:
        DataError: There are no shards, or the extra is not installed; at the end, once what is
            whole was read: some of them break off.
    """
    broken = []
    for shard in files(source):
        number = 0
        try:
            for number, (sample, fault) in enumerate(_samples(shard), 1):
                if fault is None:
                    yield from _rows(source, number, shard, sample, extracted)
                else:
                    yield Row(number, f"{shard.name}:{sample['__key__']}", fault)
            _assert_ended(shard)
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
            reason = error.args[0] if error.args else type(error).__name__
            broken.append(f"{shard} breaks off after {number} samples: {reason}.")
    if broken:
        raise DataError(" ".join(broken), "Fetch it again, or take it away.")


def _rows(
    source: Source, number: int, shard: Path, sample: Mapping[str, Any], extracted: Path
) -> Iterator[Row]:
    place = f"{shard.name}:{sample['__key__']}"
    members = {name: data for name, data in sample.items() if not name.startswith("__")}
    try:
        query = [_part(members, name, extracted) for name in _names(source.query)] or [
            _caption(members)
        ]
        candidate = [_part(members, name, extracted) for name in _names(source.candidate)] or [
            _medium(members, extracted)
        ]
        for pair in pairs_of(query, candidate):
            yield Row(number, place, pair)
    except DataError as error:
        yield Row(number, place, error)


def _samples(shard: Path) -> Iterator[tuple[dict[str, Any], DataError | None]]:
    """The samples, each with what is wrong with it: a name that two of its members have."""
    library = _library().tariterators
    faults: list[Exception] = []

    def go_on(error: Exception) -> bool:
        faults.append(error)
        return True

    with shard.open("rb") as stream:  # opened here, since the library leaves its files open
        members = library.tar_file_expander([{"url": str(shard), "stream": stream}])
        for sample in library.group_by_keys(members, handler=go_on):
            names = [str(error.args[0]).partition(": ")[0] for error in faults]
            fault = DataError(f"Two of its members are {names[0]}.") if names else None
            faults.clear()
            yield sample, fault


def _assert_ended(shard: Path) -> None:
    """Refuse a shard whose members end before its end mark.

    tarfile takes any header that it cannot read for the end.
    """
    with tarfile.open(shard) as tar:
        for _ in tar:
            pass
        assert tar.fileobj is not None
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no member and no end is at byte {tar.offset}")


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in given.split(",")] if given else []


def _part(members: Mapping[str, bytes], name: str, extracted: Path) -> Part:
    """A member, or with ``json.key`` a value of one."""
    if name in members:
        kind = medium_of(f"x.{name}")
        if kind is None:
            return "text", _text(name, members[name])
        return kind, keep(members[name], extracted)
    member, _, key = name.partition(".")
    if member in members and key:
        values = _object(member, members[member])
        if key in values:
            return "text", values[key]
        raise DataError(f"{member!r} has no {key!r}.", did_you_mean(key, map(str, values)))
    raise DataError(f"The sample has no member {name!r}.", did_you_mean(name, members))


def _caption(members: Mapping[str, bytes]) -> Part:
    if "txt" in members:
        return "text", _text("txt", members["txt"])
    values = _object("json", members["json"]) if "json" in members else {}
    for key in _CAPTIONS:
        if values.get(key):
            return "text", values[key]
    raise DataError("The sample has no caption: no member 'txt', nor 'json' with 'caption'.")


def _medium(members: Mapping[str, bytes], extracted: Path) -> Part:
    found = [name for name in members if medium_of(f"x.{name}")]
    if len(found) != 1:
        held = f"several media: {', '.join(found)}" if found else "no picture and no clip"
        raise DataError(f"The sample holds {held}.", "Say which is meant with candidate.")
    return _part(members, found[0], extracted)


def _text(name: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"The member {name!r} is not UTF-8: {error}.") from error
    if not text:
        raise DataError(f"The member {name!r} is empty.")
    return text


def _object(name: str, data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"The member {name!r} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise DataError(f"The member {name!r} is no JSON object.")
    return values


def _library() -> Any:
    try:
        import webdataset
    except ModuleNotFoundError as error:
        raise DataError(
            "Shards are read with webdataset, which is not installed.",
            'Install it: pip install "unite-embed[webdataset]".',
        ) from error
    return webdataset
