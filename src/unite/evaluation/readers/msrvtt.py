"""MSR-VTT 1K-A: the CSV of JSFusion's test split, clips anywhere below."""

from __future__ import annotations

from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, video
from unite.evaluation.readers.files import as_published, clips_by_name, table_rows
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions."""
    path = root / "MSRVTT_JSFUSION_test.csv"
    clips = clips_by_name(root, (".mp4",))
    with as_published(benchmark, path):
        media = [
            Captioned(
                row["video_id"],
                clips.get(row["video_id"], root / f"{row['video_id']}.mp4"),
                [row["sentence"]],
            )
            for row in table_rows(path)
        ]
    return both_ways(benchmark, media, video, "v")
