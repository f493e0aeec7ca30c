"""MMEB-train: a folder for each of its sets, a Parquet file for each split.

From TIGER-Lab/MMEB-train on the hub and its reader, src/data/dataset/mmeb_dataset.py of
github.com/TIGER-AI-Lab/VLM2Vec: files ``CIRR/original-00000-of-00001.parquet``, splits
``original`` and ``diverse_instruction``; columns qry, qry_image_path, pos_text, pos_image_path and,
not everywhere, neg_text, neg_image_path; an empty string is an absent part; ``<|image_1|>`` (the
tag of Phi-3-V) stands where the picture goes; paths are like ``images/CIRR/Train/….jpg``, relative
to the folder that holds the sets, where the archives of ``images_zip`` are unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unite.data.sources.source import Row, Source
from unite.data.sources.tables import read_table
from unite.errors import DataError, did_you_mean
from unite.prompts import IMAGE_PLACEHOLDER

SPLIT = "original"
TAG = "<|image_1|>"
COLUMNS = ("qry", "qry_image_path", "pos_text", "pos_image_path")

# "Represent the given image." before a picture is an instruction, not content: these sets want an
# image (paper, figure of the stage-2 data). WebQA's candidates have text of their own.
_WANT_IMAGES = {
    "CIRR", "MSCOCO", "MSCOCO_t2i", "NIGHTS", "VisDial", "VisualNews_t2i",
}  # fmt: skip


def files(source: Source) -> list[Path]:
    """The Parquet files of the split, set after set.

    Raises:
        DataError: There are none.
    """
    if source.path.is_file():
        return [source.path]
    name = f"{source.split or SPLIT}-*.parquet"
    found = sorted(source.path.glob(name)) or sorted(source.path.glob(f"*/{name}"))
    sets = {path.parent.name for path in found}
    if source.subset is not None:
        found = [path for path in found if path.parent.name == source.subset]
    if not found:
        raise DataError(
            f"{source.path} holds no {source.subset or '*'}/{name}.",
            did_you_mean(source.subset, sets)
            if source.subset and sets
            else "Splits of MMEB-train: original, diverse_instruction.",
        )
    return found


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """Rows of all sets, one set after the other.

    Raises:
        DataError: A file cannot be read, or has other columns.
    """
    for path in files(source):
        root = (source.media or path.parent.parent).resolve()
        name = path.parent.name
        for number, cells in read_table(path):
            yield Row(number, f"{name}/{path.name}:{number}", _pair(name, cells), root)


def _pair(name: str, cells: Any) -> Any:
    """The row as a pair, or why it is none."""
    if not isinstance(cells, Mapping):
        return cells
    try:
        missing = [column for column in COLUMNS if column not in cells]
        if missing:
            raise DataError(f"There is no column {missing[0]!r}; is this MMEB-train?")
        query, candidate = _side(cells, "qry", "qry"), _side(cells, "pos_text", "pos")
        if not query or not candidate:
            raise DataError("The query is empty." if not query else "The candidate is empty.")
        negative = _side(cells, "neg_text", "neg")
    except DataError as error:
        return error
    row: dict[str, Any] = {"query": query, "candidate": candidate}
    if negative:
        row["negative"] = negative
    if name in _WANT_IMAGES and "image" in candidate:
        row["target_modal"] = "image"
    return row


def _side(cells: Mapping[str, Any], text_column: str, stem: str) -> dict[str, Any]:
    text, image = cells.get(text_column), cells.get(f"{stem}_image_path")
    for value in (text, image):
        if value is not None and not isinstance(value, str):
            raise DataError(f"A cell of {stem} holds {type(value).__name__}, not a string.")
    if text and TAG in text and not image:
        raise DataError(f"{text_column!r} names a picture, but there is none.")
    made = {"text": text.replace(TAG, IMAGE_PLACEHOLDER)} if text else {}
    return {**made, **({"image": image} if image else {})}
