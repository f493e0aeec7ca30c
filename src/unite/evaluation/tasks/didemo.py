"""DiDeMo: a clip's descriptions joined to one paragraph."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, UNITE_EVAL, Benchmark, Need, both_ways
from unite.evaluation.tasks.msrvtt import THIRD_PARTY

NAME = "didemo"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="DiDeMo",
        suite="video",
        family="coarse",
        reader="didemo",
        folder="DiDeMo",
        needs=(
            Need(
                path="test_data.json",
                what="the descriptions (data/test_data.json)",
                source="https://github.com/LisaAnne/LocalizingMoments",
            ),
            Need(
                path="videos",
                what="the clips, unpacked",
                source="https://huggingface.co/datasets/friedrichor/DiDeMo",
            ),
            Need(
                path="test_list.txt",
                what="the videos that count, a name a line",
                source="https://github.com/ArrowLuo/CLIP4Clip",
                optional=True,
            ),
        ),
        layout="JSON list of {video, description, times}, as CLIP4Clip's "
        "dataloaders/dataloader_didemo_retrieval.py reads it (github.com/ArrowLuo/CLIP4Clip at "
        "85cf908); a file of a video's name with any suffix, or that name with .mp4 behind it, "
        "is its clip. A test_list.txt, if there is one, says which videos count, as there",
        split="test",
        sizes={"t2v": (1003, 1003), "v2t": (1003, 1003)},
        nframes=48,
        protocol="All descriptions of a video, joined by blanks in the order of the file, are one "
        f"paragraph; one paragraph a clip, both directions; 48 frames ({UNITE_EVAL}) spread over "
        "the whole clip.",
        metrics=IMAGE_TEXT,
        revision="none known",
        licence="not stated where the look-ups reached",
        source="https://github.com/LisaAnne/LocalizingMoments",
        published=both_ways(
            NAME,
            "v",
            "UNITE-Base 7B",
            (43.5, 40.3),
            THIRD_PARTY,
            metric="dual softmax R@1",
            exact=True,
        ),
        unverified=(
            "The count: CLIP4Clip's list and the hub's test split hold about 1,000 (1,003 and "
            "1k); mteb has 999. Clips that are not there count as missed.",
            "Whether the paper cuts clips to 30 seconds, as CLIP4Clip and CaReBench's "
            "data.config do; its task_config.py names no cut, so none is made.",
            "The licence: not on the pages that the look-ups returned.",
            "The paper's own scores: its table could not be recovered.",
        ),
    ),
)
