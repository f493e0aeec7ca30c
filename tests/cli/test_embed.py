import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Unite
from tests.cli.media import write_clip, write_picture


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Good rows and one of every bad kind, between them."""
    write_picture(tmp_path / "good.png")
    write_clip(tmp_path / "good.mp4")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "good.mp4").read_bytes()[:300])
    rows = [
        {"id": "words", "text": "a red star"},
        {"id": "cut picture", "image": "cut.png"},
        {"idx": 7, "image": "good.png"},
        {"id": "nothing"},
        {"id": "clip", "video": "good.mp4"},
        {"id": "gone", "image": "gone.png"},
        {"id": "cut clip", "video": "cut.mp4"},
        {"id": "fused", "text": "like this", "image": "good.png"},
        {"id": "typo", "txt": "a"},
        {"id": "last", "text": "a blue ring"},
    ]
    lines = [json.dumps(row) for row in rows]
    lines.insert(5, "{not json")
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_out_are_rows_in_and_bad_ones_say_why(
    unite: Unite, tiny: Path, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "vectors.parquet"
    result = unite("embed", items, "-m", tiny, "-o", out)
    assert result.exit_code == 3
    assert "11 rows, 6 failed" in result.output
    table = pq.read_table(out)
    assert table.column_names == ["id", "modality", "embedding", "error", "note"]
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [
        "words", "cut picture", "7", "nothing", "clip", "6", "gone", "cut clip", "fused", "typo",
        "last",
    ]  # fmt: skip
    good = [row for row in rows if row["error"] is None]
    assert [row["modality"] for row in good] == ["text", "image", "video", "text+image", "text"]
    for row in good:
        assert np.linalg.norm(row["embedding"]) == pytest.approx(1, abs=1e-5)
    reasons = {row["id"]: row["error"] for row in rows if row["error"] is not None}
    assert all(row["embedding"] is None for row in rows if row["error"])
    assert "cut.png" in reasons["cut picture"]
    assert "cut.mp4" in reasons["cut clip"]
    assert "gone.png" in reasons["gone"]
    assert "text" in reasons["typo"]
    assert "empty" in reasons["nothing"]
    assert "not JSON" in reasons["6"]


def test_a_bad_neighbour_moves_nothing(
    unite: Unite, tiny: Path, items: Path, tmp_path: Path
) -> None:
    unite("embed", items, "-m", tiny, "-o", tmp_path / "all.parquet")
    alone = tmp_path / "alone.jsonl"
    alone.write_text(json.dumps({"id": "words", "text": "a red star"}) + "\n")
    result = unite("embed", alone, "-m", tiny, "-o", tmp_path / "one.parquet")
    assert result.exit_code == 0
    one = pq.read_table(tmp_path / "one.parquet").to_pylist()[0]
    first = pq.read_table(tmp_path / "all.parquet").to_pylist()[0]
    np.testing.assert_allclose(one["embedding"], first["embedding"], atol=1e-4)


def test_the_outcome_as_json(unite: Unite, tiny: Path, items: Path, tmp_path: Path) -> None:
    result = unite("embed", items, "-m", tiny, "-o", tmp_path / "v.parquet", "--json")
    row = json.loads(result.stdout.splitlines()[0])
    assert (row["rows"], row["failed"]) == (11, 6)


def test_other_frames_give_another_vector(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"id": "clip", "video": "clip.mp4"}) + "\n")
    vectors = []
    for frames in (2, 8):
        out = tmp_path / f"{frames}.parquet"
        assert unite("embed", path, "-m", tiny, "-o", out, "--frames", frames).exit_code == 0
        vectors.append(pq.read_table(out).to_pylist()[0]["embedding"])
    assert np.abs(np.subtract(*vectors)).max() > 1e-3


def test_the_file_remembers_the_model(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    from unite.model.checkpoint import load_model

    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a"}\n')
    unite("embed", path, "-m", tiny, "-o", tmp_path / "v.parquet")
    facts = pq.read_schema(tmp_path / "v.parquet").metadata
    assert facts[b"model_id"].decode() == load_model(str(tiny)).id


def test_an_empty_file_gives_an_empty_table(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("")
    assert unite("embed", path, "-m", tiny, "-o", tmp_path / "v.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "v.parquet").num_rows == 0


def test_a_missing_file_or_model_is_named(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    result = unite("embed", tmp_path / "none.jsonl", "-m", tiny, "-o", tmp_path / "v.parquet")
    assert "none.jsonl" in str(result.exception)
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a"}\n')
    result = unite("embed", path, "-m", "base-3b", "-o", tmp_path / "v.parquet")
    assert "base-3b" in str(result.exception)
    assert not (tmp_path / "v.parquet").exists()


def test_the_limit_of_pixels_can_be_lowered_and_raised(
    unite: Unite, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    write_picture(tmp_path / "good.png")
    with Image.open(tmp_path / "good.png") as picture:
        width, height = picture.size
    items, out = tmp_path / "items.jsonl", tmp_path / "vectors.parquet"
    items.write_text(json.dumps({"id": "a", "image": "good.png"}) + "\n")
    command = ("embed", items, "-m", tiny, "-o", out)
    assert unite(*command, "--max-pixels", width * height - 1).exit_code == 3
    assert "--max-pixels" in pq.read_table(out).to_pylist()[0]["error"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", width * height // 3)  # Pillow's own, lowered
    assert unite(*command, "--restart").exit_code == 3
    assert unite(*command, "--max-pixels", width * height).exit_code == 3  # finished: left alone
    again = (*command, "--retry-failed", "--max-pixels", 200_000_000)
    assert unite(*again).exit_code == 0


def test_parquet_is_called_parquet(unite: Unite, tiny: Path, items: Path, tmp_path: Path) -> None:
    result = unite("embed", items, "-m", tiny, "-o", tmp_path / "vectors.csv")
    assert result.exit_code == 1
    assert ".parquet" in str(result.exception)
    assert not (tmp_path / "vectors.csv").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_on_ray_the_file_is_the_same_and_goes_on_where_either_stopped(
    unite: Unite, tiny: Path, items: Path, tmp_path: Path
) -> None:
    plain, by_ray = tmp_path / "plain.parquet", tmp_path / "ray.parquet"
    for out, more in ((plain, ()), (by_ray, ("--ray", "local"))):
        assert unite("embed", items, "-m", tiny, "-o", out, *more).exit_code == 3
    one, other = (pq.read_table(out).to_pylist() for out in (plain, by_ray))
    for left, right in zip(one, other, strict=True):
        vectors = left.pop("embedding"), right.pop("embedding")
        assert left == right
        if vectors[0] is not None:
            np.testing.assert_allclose(*vectors, atol=1e-4)
    again = unite("embed", items, "-m", tiny, "-o", by_ray, "--ray", "local", "--json")
    assert json.loads(again.stdout.splitlines()[0])["embedded"] == 0
    assert [path.name for path in tmp_path.glob(".ray*")] in ([], [".ray.parquet.lock"])


def test_a_cluster_that_is_not_there_is_told(
    unite: Unite, tiny: Path, items: Path, tmp_path: Path
) -> None:
    command = ("embed", items, "-m", tiny)
    refused = unite(*command, "-o", "-", "--ray", "local")
    assert "--ray" in str(refused.exception)
