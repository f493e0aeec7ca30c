"""CaReBench: clips with long captions, and their spatial and temporal parts apart."""

from __future__ import annotations

from unite.evaluation.facts import (
    CHART,
    IMAGE_TEXT,
    PAPER,
    UNITE_EVAL,
    Benchmark,
    Need,
    Published,
    both_ways,
)

HUB = "https://huggingface.co/datasets/MCG-NJU/CaReBench"

_BASE_2B = {
    "R@1": (78.1, 80.8),
    "R@5": (95.5, 96.4),
    "R@10": (97.8, 98.7),
}
_CHART = {
    "general": {
        "UNITE-Base 7B": (85.9, 86.9),
        "CaRe 7B": (76.8, 78.9),
        "Long-CLIP": (61.8, 60.2),
    },
    "spatial": {
        "UNITE-Base 2B": (79.5, 77.3),
        "UNITE-Base 7B": (86.4, 84.6),
        "CaRe 7B": (76.7, 77.8),
    },
    "temporal": {
        "UNITE-Base 2B": (45.3, 49.9),
        "UNITE-Base 7B": (52.4, 55.4),
        "CaRe 7B": (50.7, 53.4),
    },
}


def _published(part: str) -> tuple[Published, ...]:
    name = f"carebench-{part}"
    exact = [
        score
        for metric, scores in _BASE_2B.items()
        if part == "general"
        for score in both_ways(
            name, "v", "UNITE-Base 2B", scores, f"{PAPER}, table of CaReBench", metric=metric,
            exact=True,
        )
    ]  # fmt: skip
    read_off = [
        score
        for model, scores in _CHART[part].items()
        for score in both_ways(name, "v", model, scores, CHART)
    ]
    return (*exact, *read_off)


def _benchmark(part: str) -> Benchmark:
    key = (
        "That key of a row is not published where the look-ups reached (the hub's file tree, the "
        "authors' README, public scripts): the reader takes the row's one key that holds the word "
        f"{part!r}, and refuses a row with none or several."
    )
    return Benchmark(
        name=f"carebench-{part}",
        title=f"CaReBench {part}",
        suite="video",
        family="fine" if part != "temporal" else "temporal",
        reader="carebench",
        folder="CaReBench",
        needs=(
            Need(path="json/metadata.json", what="the captions (json/)", source=HUB),
            Need(path="videos", what="the clips (videos/)", source=HUB),
        ),
        layout=f"{HUB}: json/metadata.json and videos/; a list of rows with video and caption, as "
        "scripts over the authors' framework read it (data.json of github.com/bpiyush/CaReBench "
        "at 099ba26 names the same two paths)",
        split="all",
        sizes={"t2v": (1000, 1000), "v2t": (1000, 1000)},
        nframes=32,
        protocol=f"One caption a clip, both directions; 32 frames ({UNITE_EVAL} and the authors' "
        "README).",
        metrics=IMAGE_TEXT,
        revision="hub at 03afdda",
        licence="MIT",
        source=HUB,
        published=_published(part),
        options={"caption": "caption" if part == "general" else part},
        unverified=() if part == "general" else (key,),
    )


BENCHMARKS = tuple(_benchmark(part) for part in ("general", "spatial", "temporal"))
