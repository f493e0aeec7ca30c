"""Flickr30K: 1,000 test images, five captions each."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, UNITE_EVAL, Benchmark, Need

BENCHMARKS = (
    Benchmark(
        name="flickr30k",
        title="Flickr30K",
        suite="image-text",
        family="coarse",
        reader="karpathy",
        folder="flickr30k",
        needs=(
            Need(
                path="dataset_flickr30k.json",
                what="Karpathy's splits (dataset_flickr30k.json in the archive)",
                source="https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
            ),
            Need(
                path="flickr30k-images",
                what="the pictures",
                source="https://shannon.cs.illinois.edu/DenotationGraph/ (form of the authors)",
            ),
        ),
        layout="JSON of {images: [{filename, split, sentences: [{raw}]}]}, as read by many public "
        "loaders of dataset_flickr30k.json; pictures flat in flickr30k-images/",
        split="test",
        sizes={"t2i": (5000, 1000), "i2t": (1000, 5000)},
        protocol="Each caption is a query for its image; each image for any of its five captions.",
        metrics=IMAGE_TEXT,
        revision="the JSON has no versions",
        licence="see the authors' page",
        source="https://shannon.cs.illinois.edu/DenotationGraph/",
        options={"json": "dataset_flickr30k.json", "images": "flickr30k-images"},
        unverified=(
            "The paper's own scores: its table could not be recovered.",
            "The licence: the authors' page was not among what the look-ups returned.",
            f"{UNITE_EVAL} reads flickr30k_test.json, whose rows are nowhere published; Karpathy's "
            "test split of the same size is taken.",
        ),
    ),
)
