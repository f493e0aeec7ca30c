"""ShareGPT4V-1K: Long-CLIP's validation pairs with long captions."""

from __future__ import annotations

from unite.evaluation.facts import IMAGE_TEXT, Benchmark, Need, both_ways

NAME = "sharegpt4v"
ROWS = "share-captioner_coco_lcs_sam_1246k_1107.json"

BENCHMARKS = (
    Benchmark(
        name=NAME,
        title="ShareGPT4V-1K",
        suite="image-text",
        family="fine",
        reader="sharegpt4v",
        folder="sharegpt4v",
        needs=(
            Need(
                path=ROWS,
                what="the captions",
                source="https://huggingface.co/datasets/Lin-Chen/ShareGPT4V",
            ),
            Need(
                path="*/*",
                what="the pictures of the first 1,000 rows, under the paths that the rows name,",
                source="https://huggingface.co/datasets/Lin-Chen/ShareGPT4V (it lists the sets)",
            ),
        ),
        layout="train/sharegpt4v.py of github.com/beichenzbc/Long-CLIP at 4e6f5da "
        "(share4v_val_dataset): the first 1,000 rows; caption conversations[1].value with line "
        "breaks as blanks; picture at image",
        split="the first 1,000 rows",
        sizes={"t2i": (1000, 1000), "i2t": (1000, 1000)},
        protocol="One caption a picture, both directions.",
        metrics=IMAGE_TEXT,
        revision="hub at f308729 (the file has not changed since)",
        licence="CC BY-NC 4.0 (captions); pictures as their sets have it",
        source="https://sharegpt4v.github.io/",
        options={"json": ROWS},
        published=(
            *both_ways(NAME, "i", "UNITE-Base 2B", (89.6, 86.6)),
            *both_ways(NAME, "i", "UNITE-Base 7B", (93.3, 93.1)),
            *both_ways(NAME, "i", "Long-CLIP", (97.5, 97.1)),
            *both_ways(NAME, "i", "UniME 7B", (97.1, 93.8)),
        ),
        unverified=(
            "That the paper's sharegpt4v_test_1k.json holds these rows: the file is nowhere "
            "published; the size is the same.",
        ),
    ),
)
