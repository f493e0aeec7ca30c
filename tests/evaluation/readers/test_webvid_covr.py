from __future__ import annotations

from pathlib import Path

import pytest
from tests.evaluation.readers.conftest import Scored, ranks

from unite.errors import DataError
from unite.evaluation import registry


def covr(data: Path, text: str) -> None:
    root = data / "WebVid-CoVR"
    (root / "8M" / "train").mkdir(parents=True)
    (root / "webvid8m-covr_test.csv").write_text(text)


def test_triplets_by_hand(tmp_path: Path, scored: Scored) -> None:
    covr(tmp_path, "txt1,txt2,pth1,pth2,edit,scores\n"
                   "x,y,01/A,01/B,to b,[]\nx,y,01/B,01/C,to c,[]\nx,y,01/A,01/D,to d,[]\n")  # fmt: skip
    angles = {"A | to b": 0.0, "B | to c": 0.5, "A | to d": 1.0, "B": 0.4, "C": 0.7, "D": 0.6}
    (result,) = scored("webvid-covr", angles).values()
    # The source of the second query, B, is nearest to it but does not count; D (0.1) then C.
    assert ranks(result) == [[1], [2], [2]]
    assert result.score.main_score == "R@1"
    assert result.score.metrics["R@50"] == 1.0
    assert result.hits[1][0][0] == "01/D"
    assert result.query_groups == (0, 1, 0)  # two changes of one clip


def test_a_query_is_the_clip_and_the_change(tmp_path: Path) -> None:
    covr(tmp_path, "pth1,pth2,edit\n01/A,01/B,make it rain\n")
    (task,) = registry.read(registry.benchmark_named("webvid-covr"), tmp_path)
    (query,) = task.queries
    assert query.text == "make it rain"
    assert query.videos[0].path.endswith("8M/train/01/A.mp4")
    assert task.nframes == 16


def test_another_table_is_told(tmp_path: Path) -> None:
    covr(tmp_path, "a,b\n1,2\n")
    with pytest.raises(DataError, match="layout of WebVid-CoVR"):
        registry.read(registry.benchmark_named("webvid-covr"), tmp_path)


LACKING = "no source, no target or no change"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("01/A,01/B,", LACKING),
        ("01/A,01/B,  ", LACKING),
        ("01/A,,to b", LACKING),
        ("01/A,01/B", "Row 2 has not as many cells"),
        ('01/A,01/B,"to b\n01/A,01/C,to c', "a quote there is never closed"),
    ],
)
def test_a_row_that_lacks_a_part_is_told(tmp_path: Path, row: str, words: str) -> None:
    covr(tmp_path, f"pth1,pth2,edit\n01/A,01/B,to b\n{row}\n")
    with pytest.raises(DataError, match=words):
        registry.read(registry.benchmark_named("webvid-covr"), tmp_path)
