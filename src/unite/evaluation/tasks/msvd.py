"""MSVD: 670 test clips with about forty captions each."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, UNITE_EVAL, Benchmark, Need, both_ways
from unite.evaluation.tasks.msrvtt import THIRD_PARTY

NAME = "msvd"
HUB = "https://huggingface.co/datasets/friedrichor/MSVD"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="MSVD",
        suite="video",
        family="coarse",
        reader="msvd",
        folder="MSVD",
        needs=(
            Need(
                path="test_list.txt",
                what="the list of test clips (raw_data/test_list.txt)",
                source=HUB,
            ),
            Need(
                path="AllVideoDescriptions.txt",
                what="the captions (also raw_data/AllVideoDescriptions.txt)",
                source="https://www.cs.utexas.edu/users/ml/clamp/videoDescription/"
                "AllVideoDescriptions.txt",
            ),
            Need(
                path="**/*.avi",
                what="the clips (YouTubeClips.tar, unpacked anywhere below)",
                source="https://www.cs.utexas.edu/users/ml/clamp/videoDescription/YouTubeClips.tar",
            ),
        ),
        layout="AllVideoDescriptions.txt of the authors: a clip's id, a blank, a caption; lines "
        "with # are comments. test_list.txt: an id a line, 670 of them (commit aa5ac1f of "
        "huggingface.co/datasets/VLM2Vec/MSVD lists raw_data/ and raw_videos/*.avi)",
        split="test",
        sizes={"t2v": (27763, 670), "v2t": (670, 670)},
        nframes=48,
        protocol="Every caption is a query for its clip; a clip is asked of clips, each by the "
        "nearest of its captions (multi-caption protocol of CLIP4Clip: "
        "dataloader_msvd_retrieval.py, and tensor_video_to_text_sim of main_task_retrieval.py at "
        f"85cf908); 48 frames ({UNITE_EVAL}).",
        metrics=IMAGE_TEXT,
        revision="huggingface.co/datasets/VLM2Vec/MSVD at 558dffd gives the counts: 670 test "
        "clips, 27,763 captions",
        licence="not stated where the look-ups reached",
        source="https://www.cs.utexas.edu/users/ml/clamp/videoDescription/",
        published=both_ways(
            NAME,
            "v",
            "UNITE-Base 7B",
            (50.4, 76.1),
            THIRD_PARTY,
            metric="dual softmax R@1",
            exact=True,
        ),
        unverified=("The paper's own scores: its table could not be recovered.",),
    ),
)
