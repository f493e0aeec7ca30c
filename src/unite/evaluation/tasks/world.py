"""The small world's own suite: every task that `unite world` writes."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, Benchmark, Need

BENCHMARKS = (
    Benchmark(
        name="world",
        title="Small world",
        suite="world",
        family="all",
        reader="world",
        folder=".",
        needs=(
            Need(
                path="eval/*/*.json",
                what="a small world's tasks",
                source="`unite world DIR --size 2000`",
            ),
        ),
        layout="docs/world.md: eval/SPLIT/TASK.json",
        split="seen_combinations and new_combinations",
        sizes={},
        protocol="Every candidate of the wanted meaning is an answer. Composed galleries hold the "
        "sources of all queries; _text_only and _visual_only are controls; mixed asks six tasks' "
        "queries of all their candidates.",
        metrics=IMAGE_TEXT,
        revision="the seed and size of the world",
        licence="generated",
        source="`unite world`",
    ),
)
