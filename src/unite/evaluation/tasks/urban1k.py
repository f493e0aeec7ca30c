"""Urban1K: 1,000 city scenes that resemble each other, with long captions."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, Benchmark, Need, both_ways

NAME = "urban1k"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="Urban1K",
        suite="image-text",
        family="fine",
        reader="urban1k",
        folder="Urban1k",
        needs=(
            Need(
                path="image",
                what="the pictures (image/ of Urban1k.zip)",
                source="https://huggingface.co/datasets/BeichenZhang/Urban1k",
            ),
            Need(
                path="caption/*.txt",
                what="the captions (caption/ of Urban1k.zip)",
                source="https://huggingface.co/datasets/BeichenZhang/Urban1k",
            ),
        ),
        layout="eval/retrieval/Urban1k.py of github.com/beichenzbc/Long-CLIP at 5be1c6f: "
        "image/N.jpg and caption/N.txt, whose first line is the caption",
        split="all",
        sizes={"t2i": (1000, 1000), "i2t": (1000, 1000)},
        protocol="One caption a picture, both directions.",
        metrics=IMAGE_TEXT,
        revision="Urban1k.zip of sha256 08e42b3f… as a public script pins it",
        licence="not stated where the look-ups reached",
        source="https://github.com/beichenzbc/Long-CLIP",
        published=(
            *both_ways(NAME, "i", "UNITE-Base 2B", (91.4, 89.1)),
            *both_ways(NAME, "i", "UNITE-Base 7B", (95.3, 95.6)),
            *both_ways(NAME, "i", "Long-CLIP", (86.0, 82.6)),
            *both_ways(NAME, "i", "UniME 7B", (95.8, 95.1)),
            *both_ways(NAME, "i", "FineLIP", (94.0, 93.1)),
        ),
    ),
)
