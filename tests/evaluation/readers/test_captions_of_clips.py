"""MSR-VTT, MSVD, DiDeMo and CaReBench."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.evaluation.readers.conftest import Scored, ranks

from unite.errors import DataError
from unite.evaluation import registry


def test_msrvtt(tmp_path: Path, scored: Scored) -> None:
    root = tmp_path / "MSRVTT"
    (root / "all").mkdir(parents=True)
    (root / "MSRVTT_JSFUSION_test.csv").write_text(
        "key,vid_key,video_id,sentence\nret0,msr9770,video9770,a\nret1,msr9771,video9771,b\n"
    )
    (root / "all" / "video9770.mp4").touch()
    angles = {"video9770": 0.0, "video9771": None, "a": 0.1, "b": 0.2}
    found = scored("msrvtt", angles)  # the second clip is not there: missed from both sides
    inf = float("inf")
    assert ranks(found["msrvtt/t2v"]) == [[1], [inf]]
    assert ranks(found["msrvtt/v2t"]) == [[1], [inf]]
    assert found["msrvtt/t2v"].score.failed_candidates == 1
    t2v, _ = registry.read(registry.benchmark_named("msrvtt"), tmp_path)
    assert t2v.candidates[0].videos[0].path == str(root / "all" / "video9770.mp4")
    assert t2v.nframes == 48


def test_msvd_all_captions(tmp_path: Path, scored: Scored) -> None:
    root = tmp_path / "MSVD"
    (root / "YouTubeClips").mkdir(parents=True)
    (root / "YouTubeClips" / "x_1_2.avi").touch()
    (root / "test_list.txt").write_text("x_1_2\ny_3_4\n")
    (root / "AllVideoDescriptions.txt").write_text(
        "# a comment\n\nx_1_2 a\nx_1_2 b c\ny_3_4 d\nz_5_6 of the training split\n"
    )
    found = scored("msvd", {"x_1_2": 0.0, "y_3_4": 1.0, "a": 0.9, "b c": 0.3, "d": 0.4})
    assert ranks(found["msvd/t2v"]) == [[2], [1], [2]]
    # Of each clip its nearest caption. x: b c (0.3) of x, d (0.4) of y; y: a (0.1) of x, d of y.
    assert ranks(found["msvd/v2t"]) == [[1], [2]]
    assert found["msvd/v2t"].score.main == 0.5
    assert found["msvd/v2t"].score.candidates == 2
    assert found["msvd/t2v"].query_groups == (0, 0, 1)
    captions = root / "AllVideoDescriptions.txt"
    captions.write_text(captions.read_text() + "x_1_2 one\u2028caption\x85of it\n")
    t2v, _ = registry.read(registry.benchmark_named("msvd"), tmp_path)
    assert t2v.queries[2].text == "one\u2028caption\x85of it"  # none of these ends a line
    (root / "test_list.txt").write_text("nobody\n")
    with pytest.raises(DataError, match="no caption of nobody"):
        registry.read(registry.benchmark_named("msvd"), tmp_path)


def test_didemo_paragraphs(tmp_path: Path, scored: Scored) -> None:
    root = tmp_path / "DiDeMo"
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "1.mov.mp4").touch()
    (root / "videos" / "2.mp4").touch()
    rows = [
        {"video": "1.mov", "description": "first", "times": [[0, 1]]},
        {"video": "2.avi", "description": "other", "times": [[2, 2]]},
        {"video": "1.mov", "description": " then ", "times": [[3, 3]]},
        {"video": "3.avi", "description": "unlisted", "times": [[0, 0]]},
    ]
    (root / "test_data.json").write_text(json.dumps(rows))
    (root / "test_list.txt").write_text("2.avi\n1.mov\n")
    angles = {"1.mov": 0.0, "2": 1.0, "first then": 0.1, "other": 0.2}
    found = scored("didemo", angles)
    assert ranks(found["didemo/t2v"]) == [[1], [2]]
    assert ranks(found["didemo/v2t"]) == [[1], [1]]


def test_didemo_lists_only_what_is_described(tmp_path: Path) -> None:
    root, didemo = tmp_path / "DiDeMo", registry.benchmark_named("didemo")
    (root / "videos").mkdir(parents=True)
    (root / "test_data.json").write_text(json.dumps([{"video": "1.avi", "description": "a"}]))
    before = didemo.fingerprint(tmp_path)
    (root / "test_list.txt").write_text("1.avi\n")
    assert didemo.fingerprint(tmp_path) != before
    assert len(registry.read(didemo, tmp_path)[0].queries) == 1
    (root / "test_list.txt").write_text("1.avi\n2\n")
    with pytest.raises(DataError, match=r"lists 1 videos .*such as '2'"):
        registry.read(didemo, tmp_path)


def test_the_nearest_caption_of_many_clips_by_brute_force(tmp_path: Path, scored: Scored) -> None:
    root, rng = tmp_path / "MSVD", random.Random(4)
    (root / "clips").mkdir(parents=True)
    clips = {f"c{n}": [f"c{n} words {k}" for k in range(rng.randint(1, 5))] for n in range(12)}
    angles: dict[str, float | None] = {}
    lines = []
    for name, captions in clips.items():
        (root / "clips" / f"{name}.avi").touch()
        angles[name] = rng.uniform(0, 1)
        for caption in captions:
            angles[caption] = rng.uniform(0, 1)
            lines.append(f"{name} {caption}")
    (root / "test_list.txt").write_text("\n".join(clips))
    (root / "AllVideoDescriptions.txt").write_text("\n".join(lines))
    for name, rank_A in zip(clips, ranks(scored("msvd", angles)["msvd/v2t"]), strict=True):
        nearest = {
            other: min(abs(angles[name] - angles[text]) for text in captions)  # type: ignore[operator]
            for other, captions in clips.items()
        }
        assert rank_A == [1 + sum(near < nearest[name] for near in nearest.values())]


def carebench(data: Path, *rows: dict[str, object]) -> None:
    root = data / "CaReBench"
    for folder in ("json", "videos"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "json" / "metadata.json").write_text(json.dumps(rows))


def test_carebench_parts(tmp_path: Path, scored: Scored) -> None:
    carebench(
        tmp_path,
        {"video": "1.mp4", "caption": "a", "spatial_caption": "s", "the Temporal one": "t"},
        {"video": "2.mp4", "caption": "b", "spatial_caption": "r", "the Temporal one": "u"},
    )
    angles = {"1": 0.0, "2": 1.0, "a": 0.1, "b": 0.9, "s": 0.8, "r": 0.9, "t": 0.6, "u": 0.2}
    for part, first in (("general", [[1], [1]]), ("spatial", [[2], [1]]), ("temporal", [[2], [2]])):
        found = scored(f"carebench-{part}", angles)
        assert ranks(found[f"carebench-{part}/t2v"]) == first


@pytest.mark.parametrize("keys", [{}, {"spatial_a": "x", "spatial_b": "y"}, {"spatial": 3}])
def test_carebench_without_one_key_for_a_part_is_told(
    tmp_path: Path, keys: dict[str, object]
) -> None:
    carebench(tmp_path, {"video": "1.mp4", "caption": "a", **keys})
    with pytest.raises(DataError, match="spatial"):
        registry.read(registry.benchmark_named("carebench-spatial"), tmp_path)


@pytest.mark.parametrize("name", ["msrvtt", "msvd", "didemo"])
def test_clips_may_lie_in_a_linked_folder(tmp_path: Path, name: str) -> None:
    benchmark = registry.benchmark_named(name)
    root, disk = benchmark.root(tmp_path), tmp_path / "disk" / "deep"
    root.mkdir()
    disk.mkdir(parents=True)
    (root / "videos").symlink_to(disk.parent)
    suffix = ".avi" if name == "msvd" else ".mp4"
    clip = disk / f"video1{suffix}"
    if name == "msrvtt":
        (root / "MSRVTT_JSFUSION_test.csv").write_text("video_id,sentence\nvideo1,a\n")
    elif name == "msvd":
        (root / "test_list.txt").write_text("video1\n")
        (root / "AllVideoDescriptions.txt").write_text("video1 a\n")
    else:
        (root / "test_data.json").write_text(json.dumps([{"video": "video1", "description": "a"}]))
    if name != "didemo":
        assert benchmark.missing(tmp_path)
    clip.touch()
    assert not benchmark.missing(tmp_path)
    there, _ = registry.read(benchmark, tmp_path)
    assert Path(there.candidates[0].videos[0].path).resolve() == clip


def test_a_sidecar_is_no_clip(tmp_path: Path) -> None:
    root = tmp_path / "DiDeMo"
    (root / "videos").mkdir(parents=True)
    for suffix in (".mov", ".mp4", ".srt", ".webp", ".txt"):
        (root / "videos" / f"1{suffix}").touch()
    (root / "test_data.json").write_text(json.dumps([{"video": "1.avi", "description": "a"}]))
    there, _ = registry.read(registry.benchmark_named("didemo"), tmp_path)
    assert there.candidates[0].videos[0].path.endswith("/1.mov")


def test_an_unclosed_quote_does_not_swallow_questions(tmp_path: Path) -> None:
    root = tmp_path / "MSRVTT"
    root.mkdir()
    (root / "video1.mp4").touch()
    (root / "MSRVTT_JSFUSION_test.csv").write_text(
        'video_id,sentence\nvideo1,a\nvideo2,"b\nvideo3,c\n'
    )
    with pytest.raises(DataError, match="breaks off in row 2: a quote"):
        registry.read(registry.benchmark_named("msrvtt"), tmp_path)
