"""MSR-VTT 1K-A: 1,000 clips, one caption each."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, UNITE_EVAL, Benchmark, Need, both_ways

NAME = "msrvtt"
THIRD_PARTY = "a third party's evaluation of UNITE-Base 7B with dual softmax"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="MSR-VTT 1K-A",
        suite="video",
        family="coarse",
        reader="msrvtt",
        folder="MSRVTT",
        needs=(
            Need(
                path="MSRVTT_JSFUSION_test.csv",
                what="the 1K-A split (in msrvtt_data.zip)",
                source="https://github.com/ArrowLuo/CLIP4Clip/releases/download/v0.0/"
                "msrvtt_data.zip",
            ),
            Need(
                path="**/video*.mp4",
                what="the clips (MSRVTT_Videos.zip, unpacked anywhere below)",
                source="https://huggingface.co/datasets/friedrichor/MSR-VTT",
            ),
        ),
        layout="CSV with key, vid_key, video_id, sentence, as CLIP4Clip's "
        "dataloaders/dataloader_msrvtt_retrieval.py reads it (github.com/ArrowLuo/CLIP4Clip at "
        "c3bc6b1); clips named by video_id",
        split="1K-A (JSFusion)",
        sizes={"t2v": (1000, 1000), "v2t": (1000, 1000)},
        nframes=48,
        protocol=f"One caption a clip, both directions; 48 frames ({UNITE_EVAL}).",
        metrics=IMAGE_TEXT,
        revision="CLIP4Clip release v0.0",
        licence="not stated where the look-ups reached",
        source="http://ms-multimedia-challenge.com/2017/dataset",
        published=both_ways(
            NAME,
            "v",
            "UNITE-Base 7B",
            (46.5, 45.2),
            THIRD_PARTY,
            metric="dual softmax R@1",
            exact=True,
        ),
        unverified=(
            "The paper's own scores: its table could not be recovered.",
            "The licence: not on the pages that the look-ups returned.",
        ),
    ),
)
