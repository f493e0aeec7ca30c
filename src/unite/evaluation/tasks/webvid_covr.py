"""WebVid-CoVR: a clip and a change, the changed clip is wanted."""

from __future__ import annotations

from unite.evaluation.facts import PAPER, UNITE_EVAL, Benchmark, Need, Published

NAME = "webvid-covr"
TABLE = f"{PAPER}, table of composed video retrieval"
DEPTHS = ("R@1", "R@5", "R@10", "R@50")
_SCORES = {
    "CoVR-2": (59.8, 83.8, 91.3, 98.2),
    "ECDE": (60.1, 84.3, 91.3, 98.7),
    "UNITE-Instruct 2B": (69.1,),
    "UNITE-Instruct 7B": (72.5, 90.8, 95.3, 99.5),
}
ANNOTATION = "webvid8m-covr_test.csv"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="WebVid-CoVR",
        suite="composed",
        family="composed",
        reader="webvid_covr",
        folder="WebVid-CoVR",
        needs=(
            Need(
                path=ANNOTATION,
                what="the triplets",
                source="https://huggingface.co/datasets/lucas-ventura/WebVid-CoVR/resolve/main/"
                f"{ANNOTATION}",
            ),
            Need(
                path="8M/train",
                what="the clips of the test split (tools/scripts/download_covr.py test)",
                source="https://github.com/lucas-ventura/CoVR",
            ),
        ),
        layout="src/data/webvid_covr.py of github.com/lucas-ventura/CoVR at c044445: CSV with "
        "pth1, pth2 and edit; clips at 8M/train/{pth}.mp4 (configs/test/webvid-covr.yaml)",
        split="test",
        sizes={"vt2v": (2556, 2556)},
        nframes=16,
        protocol="The gallery is the targets, each once. A query's own source clip does not count "
        "where it is another query's target (remove_self_similarity in "
        f"src/test/blip/webvid_covr.py at adf5682). 16 frames ({UNITE_EVAL}).",
        metrics=DEPTHS,
        revision="annotation without versions",
        licence="MIT by the badge of the repository; of the clips not stated there",
        source="https://github.com/lucas-ventura/CoVR",
        published=tuple(
            Published(task=f"{NAME}/vt2v", model=model, metric=metric, value=value, where=TABLE)
            for model, values in _SCORES.items()
            for metric, value in zip(DEPTHS, values, strict=False)
        ),
        unverified=(
            "The instruction that the paper puts before the change: webvid8m_covr_test.json is "
            "nowhere published. None is put; the query is the clip and the change.",
        ),
    ),
)
