"""MSCOCO: Karpathy's 5,000 test images, five captions each."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, UNITE_EVAL, Benchmark, Need

BENCHMARKS = (
    Benchmark(
        name="mscoco",
        title="MSCOCO 5K",
        suite="image-text",
        family="coarse",
        reader="karpathy",
        folder="mscoco",
        needs=(
            Need(
                path="dataset_coco.json",
                what="Karpathy's splits (dataset_coco.json in the archive)",
                source="https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
            ),
            Need(
                path="val2014",
                what="the pictures of val2014.zip",
                source="http://images.cocodataset.org/zips/val2014.zip",
            ),
        ),
        layout="JSON of {images: [{filepath, filename, split, sentences: [{raw}]}]}: filepath "
        "val2014, filename COCO_val2014_….jpg, as read by many public loaders of dataset_coco.json",
        split="test",
        sizes={"t2i": (25000, 5000), "i2t": (5000, 25000)},
        protocol="As Flickr30K; of the few images with more captions the first five count.",
        metrics=IMAGE_TEXT,
        revision="the JSON has no versions",
        licence="see the authors' page",
        source="https://cocodataset.org/",
        options={"json": "dataset_coco.json", "images": "."},
        unverified=(
            "The paper's own scores: its table could not be recovered.",
            "The licence: the authors' page was not among what the look-ups returned.",
            f"{UNITE_EVAL} reads mscoco_test.json, whose rows are nowhere published; Karpathy's "
            "5,000 test images are taken.",
        ),
    ),
)
