"""DOCCI: pictures taken for their descriptions, which are long and exact."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, Benchmark, Need, both_ways

NAME = "docci"
PUBLISHED_AT = "https://storage.googleapis.com/docci/data"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="DOCCI",
        suite="image-text",
        family="fine",
        reader="docci",
        folder="docci",
        needs=(
            Need(
                path="docci_descriptions.jsonlines",
                what="the descriptions",
                source=f"{PUBLISHED_AT}/docci_descriptions.jsonlines",
            ),
            Need(
                path="images",
                what="the pictures, unpacked",
                source=f"{PUBLISHED_AT}/docci_images.tar.gz",
            ),
        ),
        layout="https://google.github.io/docci/#downloads: a JSON object a line with image_file, "
        "description and split; public loaders of FineLIP's evaluation read the same keys",
        split="test",
        sizes={"t2i": (5000, 5000), "i2t": (5000, 5000)},
        protocol="One description a picture, both directions.",
        metrics=IMAGE_TEXT,
        revision="storage generation 1714384012999810 of the descriptions",
        licence="CC BY 4.0",
        source="https://google.github.io/docci/",
        published=(
            *both_ways(NAME, "i", "UNITE-Base 2B", (81.3, 72.3)),
            *both_ways(NAME, "i", "UNITE-Base 7B", (87.1, 85.7)),
            *both_ways(NAME, "i", "Long-CLIP", (78.5, 66.5)),
            *both_ways(NAME, "i", "FineLIP", (85.9, 84.5)),
        ),
    ),
)
