"""Ray on this machine gives the rows of the plain path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from unite.data.records import BadRow
from unite.data.vectors import Watched, embed_rows
from unite.embedder import Embedder, on_ray
from unite.embedder.on_ray import embed_on_ray
from unite.embedder.ray_actors import Job
from unite.errors import UniteError
from unite.media.source import Limits
from unite.model.checkpoint import Model, save_model
from unite.types import Clip, Item


@pytest.fixture
def records(media: Path) -> list[Item | BadRow]:
    """More than one chunk of them, broken ones between."""
    picture, clip = str(media / "p0.png"), str(media / "clip.mp4")
    found: list[Item | BadRow] = []
    for number in range(on_ray.CHUNK + 9):
        name = str(number)
        match number % 6:
            case 0:
                found.append(Item(text=f"number {number}", id=name))
            case 1:
                found.append(Item(images=(picture,), text=f"like {number}", id=name))
            case 2:
                found.append(BadRow(number, name, "no item"))
            case 3:
                found.append(Item(videos=(Clip(clip, 0.2, 1.2),), id=name))
            case 4:
                found.append(Item(images=(str(media / "broken.png"),), id=name))
            case _:
                found.append(Item(text="too long " * 400, id=name))
    return found


def job(model: Model, directory: Path) -> Job:
    return Job(
        model=str(directory), dtype="float32", policy=model.policy, dim=None, fit=False,
        limits=Limits(), seconds=60.0,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_same_rows_as_without_it(
    tiny_model: Model, records: list[Item | BadRow], tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path / "m")
    expected = list(embed_rows(Embedder(tiny_model), records))
    spool = tmp_path / "spool"
    directory = tmp_path / "m"
    found = list(embed_on_ray(Watched(records), job(tiny_model, directory), spool, "local"))
    watched = Watched(records)
    assert [entry.digest for entry in found] == [watched.next_digest() for _ in watched]
    assert not spool.exists()
    for entry, other in zip(found, expected, strict=True):
        one = entry.row
        assert (one.id, one.modality, one.error, one.note) == (
            other.id, other.modality, other.error, other.note,
        )  # fmt: skip
        assert (one.embedding is None) == (other.embedding is None)
        if one.embedding is not None and other.embedding is not None:
            assert np.abs(one.embedding - other.embedding).max() < 1e-4


def test_nothing_to_do_needs_no_cluster(tiny_model: Model, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    spool = tmp_path / "spool"
    assert list(embed_on_ray(Watched([]), job(tiny_model, tmp_path), spool, "nowhere:1")) == []


def test_without_ray_it_says_what_to_install(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    watched = Watched([Item(text="a", id="0")])
    with pytest.raises(UniteError, match="unite-embed\\[ray\\]"):
        list(embed_on_ray(watched, job(tiny_model, tmp_path), tmp_path / "spool", "local"))
    assert not (tmp_path / "spool").exists()
