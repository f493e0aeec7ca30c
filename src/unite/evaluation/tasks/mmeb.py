"""MMEB: 36 tasks in four groups, each query with its own candidates."""

from __future__ import annotations

from unite.evaluation.facts import PAPER, Benchmark, Need, Published

HUB = "https://huggingface.co/datasets/TIGER-Lab/MMEB-eval"
REVISION = "101d09ca7a7818904b9f8d97a3114d9b24f04368"
TABLE = f"{PAPER}, table of MMEB (Precision@1)"

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "classification": (
        ("ImageNet-1K", "N24News", "HatefulMemes", "VOC2007", "SUN397"),
        ("Place365", "ImageNet-A", "ImageNet-R", "ObjectNet", "Country211"),
    ),
    "vqa": (
        ("OK-VQA", "A-OKVQA", "DocVQA", "InfographicsVQA", "ChartQA", "Visual7W"),
        ("ScienceQA", "VizWiz", "GQA", "TextVQA"),
    ),
    "retrieval": (
        (
            "VisDial", "CIRR", "VisualNews_t2i", "VisualNews_i2t",
            "MSCOCO_t2i", "MSCOCO_i2t", "NIGHTS", "WebQA",
        ),
        ("FashionIQ", "Wiki-SS-NQ", "OVEN", "EDIS"),
    ),
    "grounding": (("MSCOCO",), ("RefCOCO", "RefCOCO-Matching", "Visual7W-Pointing")),
}  # fmt: skip
"""In-distribution sets, then out-of-distribution ones, by group."""

_AVERAGES = {
    "VLM2Vec 7B": (62.6, 57.8, 69.9, 81.7, 65.8),
    "mmE5 11B": (67.6, 62.8, 70.9, 89.7, 69.8),
    "IDMR 26B": (66.3, 61.9, 71.1, 88.6, 69.2),
    "UNITE-Instruct 2B": (63.2, 55.9, 65.4, 75.6, 63.3),
    "UNITE-Instruct 7B": (68.3, 65.1, 71.6, 84.8, 70.3),
}
AVERAGES = tuple(
    Published(task=f"mmeb:{group}", model=model, metric="P@1", value=value, where=TABLE)
    for model, values in _AVERAGES.items()
    for group, value in zip((*GROUPS, "overall"), values, strict=True)
)
"""Published means over the tasks of a group; single tasks' scores were not recoverable."""


def _benchmark(subset: str, group: str, in_distribution: bool) -> Benchmark:
    return Benchmark(
        name=f"mmeb-{subset}",
        title=f"MMEB {subset}",
        suite="mmeb",
        family=group,
        group=group,
        in_distribution=in_distribution,
        reader="mmeb",
        folder="MMEB-eval",
        needs=(
            Need(
                path=f"{subset}/test-00000-of-00001.parquet",
                what="the rows of the subset",
                source=f"{HUB}/tree/{REVISION}/{subset}",
            ),
            Need(path="images", what="the pictures of images.zip, unpacked", source=HUB),
        ),
        layout=f"{HUB} at {REVISION}: columns qry_text, qry_img_path, tgt_text, tgt_img_path "
        "(lists), as eval.py and src/dataset.py of github.com/TIGER-AI-Lab/VLM2Vec read them; the "
        "instruction is part of the texts, <|image_1|> stands for the picture, an empty string "
        "is an absent part",
        split="test",
        sizes={"": (1000, 1000)},
        protocol="Each query is asked of its own candidates, of which the first is right; a "
        "candidate that equals it is right too.",
        metrics=("P@1",),
        revision=REVISION,
        licence="Apache-2.0 (rows); pictures as their sets have it",
        source=HUB,
        options={"subset": subset, "images": "images"},
        unverified=(
            "Whether images.zip unpacks into images/ itself or into its folders: it is to be "
            "unpacked so that the paths of the rows lie beneath images/.",
            "The order in which the paper's prompt names the parts of an item with words and a "
            "picture: its MMEB code is said to be adapted from VLM2Vec and is not published.",
        ),
    )


BENCHMARKS = tuple(
    _benchmark(subset, group, known)
    for group, (inside, outside) in GROUPS.items()
    for known, subsets in ((True, inside), (False, outside))
    for subset in subsets
)
