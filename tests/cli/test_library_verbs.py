"""`unite index` and `unite search` with a real model on real and broken files."""

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Unite
from tests.cli.media import write_clip, write_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "media"
    (directory / "deep").mkdir(parents=True)
    write_picture(directory / "one.png", 1)
    write_picture(directory / "deep" / "two.jpg", 2)
    write_clip(directory / "clip.mp4", 3)
    (directory / "notes.txt").write_text("a red star\n\na blue ring")
    (directory / "data.csv").write_text("not, ours")
    return directory


def hits(output: str) -> list[dict[str, object]]:
    answer = json.loads(output)
    assert set(answer) == {"ranking", "shares", "hits", "next"}
    found: list[dict[str, object]] = answer["hits"]
    return found


def test_index_then_search_by_anything(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    indexed = unite("index", folder, "-l", library, "-m", tiny, "--json")
    assert indexed.exit_code == 0, indexed.output
    assert json.loads(indexed.stdout)["added"] == 4
    for words in (
        ["a red star"],
        ["--image", folder / "one.png"],
        ["--video", folder / "clip.mp4"],
        ["like this", "--image", folder / "one.png"],
    ):
        result = unite("search", *words, "-l", library, "--json")
        assert result.exit_code == 0, result.output
        found = hits(result.stdout)
        assert len(found) == 4
        kept = {"id", "path", "modality", "score", "start", "end"}
        assert set(found[0]) == kept | {"segments", "copies"}


def test_a_picture_finds_itself_first(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    unite("index", folder, "-l", tmp_path / "l", "-m", tiny)
    result = unite(
        "search", "--image", folder / "one.png", "-l", tmp_path / "l", "--only", "image", "--json"
    )
    first = hits(result.stdout)[0]
    assert str(first["path"]).endswith("one.png")
    assert first["score"] == pytest.approx(1, abs=1e-4)


def test_broken_files_are_named_and_the_rest_goes_on(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "cut.png").write_bytes((folder / "one.png").read_bytes()[:200])
    (folder / "cut.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:200])
    (folder / "camera.CR3").write_bytes(b"not looked at")
    result = unite("index", folder, "-l", tmp_path / "l", "-m", tiny, "--json")
    assert result.exit_code == 3
    outcome = json.loads(result.stdout)
    assert outcome["added"] == 4
    assert outcome["kinds_skipped"][".cr3"] == 1
    assert sorted(Path(path).name for path in outcome["failed"]) == ["cut.mp4", "cut.png"]
    assert all(outcome["failed"].values())
    again = unite("index", folder, "-l", tmp_path / "l", "-m", tiny)
    assert "4 kept" in again.stdout
    assert "1 .cr3" in again.stderr


def test_a_library_of_another_model_is_refused(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from unite.model.checkpoint import load_model, save_model

    unite("index", folder, "-l", tmp_path / "l", "-m", tiny)
    model = load_model(str(tiny))
    save_model(
        replace(model, policy=model.policy.with_frames(nframes=2)),
        tmp_path / "other",
        dtype="float32",
    )
    result = unite("index", folder, "-l", tmp_path / "l", "-m", tmp_path / "other")
    assert result.exit_code == 1
    assert "model" in str(result.exception)
    again = unite("search", "a", "-l", tmp_path / "l", "-m", tmp_path / "other")
    assert again.exit_code == 1


def test_a_model_that_lacks_a_tensor_is_refused(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, broken / "model.safetensors")
    result = unite("index", folder, "-l", tmp_path / "l", "-m", broken)
    assert result.exit_code == 1
    assert "model.norm.weight" in str(result.exception)
    assert not (tmp_path / "l").exists()


def test_questions_without_an_answer_are_explained(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    assert "Make one" in str(unite("search", "a", "-l", tmp_path / "none").exception)
    unite("index", folder, "-l", tmp_path / "l", "-m", tiny)
    for words in ([], ["--image", tmp_path / "none.png"], ["a", "--only", "pictures"]):
        result = unite("search", *words, "-l", tmp_path / "l")
        assert result.exit_code == 1
        assert str(result.exception)


def test_a_small_world_model_says_once_what_it_does_not_know(
    unite: Unite, tiny: Path, tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (200, 120), "green").save(tmp_path / "photos" / name)
    result = unite("index", tmp_path / "photos", "-l", tmp_path / "l", "-m", tiny)
    assert result.exit_code == 0
    assert result.stderr.count("instruct-2b") == 1
    assert "and 2 more" in result.stderr
    own = tmp_path / "own"
    own.mkdir()
    write_picture(own / "scene.png")
    assert "instruct-2b" not in unite("index", own, "-l", tmp_path / "m", "-m", tiny).stderr


def test_a_wrong_path_leaves_no_library(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    result = unite("index", tmp_path / "typo", "-l", tmp_path / "l", "-m", tiny)
    assert "typo does not exist" in str(result.exception)
    assert not (tmp_path / "l").exists()


def test_a_model_beside_the_library_is_found_from_every_folder(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert unite("index", "media", "-l", "l", "-m", "model").exit_code == 0
    monkeypatch.chdir(folder)
    assert unite("search", "a red star", "-l", tmp_path / "l").exit_code == 0


def test_what_only_leaves_out_is_told(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "clip.txt").write_text("a star")
    (folder / "notes.txt").unlink()
    unite("index", folder, "-l", tmp_path / "l", "-m", tiny)
    result = unite("search", "a star", "-l", tmp_path / "l", "--only", "video")
    assert "It holds 2 image, 1 text+video." in result.output


def test_a_mistyped_store_makes_no_folder_of_that_name(
    unite: Unite, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    result = unite("index", folder, "-l", tmp_path / "l", "-m", tiny, "--store", "s3:/bucket")
    assert "'s3:/bucket' is no address of a store" in str(result.exception)
    assert not (tmp_path / "l").exists()
