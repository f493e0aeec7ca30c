"""How to rank a gallery that mixes modalities: what each way finds first, and of which modality.

The mixed task of the small world: one gallery of pictures, clips, captions and pages, asked six
kinds of query. Routers and calibrations are fitted on training pairs, shares are chosen on the
test scenes of even number, everything is reported on those of odd number, in one and the same
gallery; both splits of the world together. Intervals are the 2.5 and 97.5 percentiles of 1,000
resamplings of the queries.

Usage: python benchmarks/ranking.py WORLD MODEL... [--router FILE]
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unite.data.records import read_pairs
from unite.embedder import Embedder
from unite.evaluation.task import Task, read_task
from unite.library.fusion import blended, even, favouring, fuse
from unite.library.intent import named
from unite.library.router import Router, fit
from unite.library.search import NAMED, TRUSTED
from unite.stores.protocol import Found, Record
from unite.training.recipe_files import load_recipe
from unite.types import Item, Pair

SPLITS = ("seen_combinations", "new_combinations")
PAIRS, CALIBRATED = 400, 1200
DEPTH = 50  # of each modality's list; recall is taken at 10
TAU = 0.03
SEED = 0
SAME = {"t2i_fine": "ti_fine", "t2v_fine": "tv_fine"}  # the source of an evaluation task's queries
OPENINGS = r"^(a picture of|an image with|there is|here we see|a clip of|a video with) "
Shares = Callable[[Item, Sequence[str]], dict[str, float] | None]


@dataclass(frozen=True)
class Asked:
    """A mixed task with everything embedded: Q queries, C candidates."""

    task: Task
    query_QD: np.ndarray
    candidate_CD: np.ndarray
    score_QC: np.ndarray
    label_C: np.ndarray

    @property
    def labels(self) -> list[str]:
        return sorted(set(self.label_C.tolist()))


@dataclass(frozen=True)
class Fitted:
    """What training pairs gave."""

    words: Router
    without: dict[str, Router]
    vectors: Any
    both: Any
    scale: dict[str, tuple[float, float]]
    labels: list[str]


# Data


def embedded(model: Embedder, items: Sequence[Item]) -> np.ndarray:
    return np.stack([part.vector for part in model.embed([replace(i, id=None) for i in items])])


def asked_where(query: Item) -> Item:
    """The same caption as people put it to a search box."""
    noun = {"t2i_fine": "picture", "t2v_fine": "clip"}.get(str(query.id).split("/")[0])
    if noun is None:
        return query
    text = re.sub(OPENINGS, "", query.text or "")
    return replace(query, text=f"find the {noun} where {text}")


def mixed_tasks(model: Embedder, world: Path, way: Callable[[Item], Item]) -> list[Asked]:
    found = []
    for split in SPLITS:
        task = read_task(world / "eval" / split / "mixed.json")
        task = replace(task, queries=tuple(way(query) for query in task.queries))
        query_QD, candidate_CD = embedded(model, task.queries), embedded(model, task.candidates)
        labels = np.array([candidate.modality.label for candidate in task.candidates])
        found.append(Asked(task, query_QD, candidate_CD, query_QD @ candidate_CD.T, labels))
    return found


def training_pairs(world: Path) -> Iterator[tuple[str, Pair, float]]:
    """The first pairs of each source, as the recipe weighs them."""
    weights = load_recipe("small-stage2", []).data.weights
    for source, weight in weights.items():
        pairs = read_pairs(world / "train" / f"{source}.json", source)
        for pair in list(pairs)[:PAIRS]:
            assert isinstance(pair, Pair)
            yield source, pair, weight


# What is fitted


def fitted(model: Embedder, world: Path) -> Fitted:
    from sklearn.linear_model import LogisticRegression

    rows = list(training_pairs(world))
    queries = [pair.query for _, pair, _ in rows]
    targets = [pair.target_modality for _, pair, _ in rows]
    weights = [weight for *_, weight in rows]
    query_ND = embedded(model, queries)
    words = fit(queries, targets, weights)
    labels = [target.label for target in targets]
    vectors, both = (
        LogisticRegression(C=c, max_iter=2000).fit(feature, labels, sample_weight=weights)
        for c, feature in ((100, query_ND), (1, np.hstack([query_ND, logits(words, queries)])))
    )
    without = {}
    for task in ("t2i_fine", "t2v_fine", "i2t", "it2i_edit", "vt2v", "t2ti"):
        kept = [row for row in rows if row[0] != SAME.get(task, task)]
        without[task] = fit(
            [p.query for _, p, _ in kept], [p.target_modality for _, p, _ in kept],
            [w for *_, w in kept],
        )  # fmt: skip
    scale = calibrated(model, rows, query_ND)
    return Fitted(words, without, vectors, both, scale, sorted(set(labels)))


def logits(router: Router, queries: Sequence[Item]) -> np.ndarray:
    names = list(router.labels)
    rows = [router.shares(query, names) or even(names) for query in queries]
    return np.log([[row[name] for name in names] for row in rows])


def calibrated(
    model: Embedder, rows: list[tuple[str, Pair, float]], query_ND: np.ndarray
) -> dict[str, tuple[float, float]]:
    """A factor and an offset for the cosines of each modality: softmax over mixed candidates."""
    import torch
    from torch.nn.functional import cross_entropy

    chosen = np.random.default_rng(SEED).permutation(len(rows))[:CALIBRATED]
    pairs = [rows[index][1] for index in chosen]
    candidates = embedded(model, [pair.candidate for pair in pairs])
    score_NN = torch.from_numpy(query_ND[chosen] @ candidates.T)
    labels = sorted({pair.target_modality.label for pair in pairs})
    label_N = torch.tensor([labels.index(pair.target_modality.label) for pair in pairs])
    ids = np.array([(pair.candidate_id, pair.candidate_also_id or "") for pair in pairs])
    same = (ids[:, None, :1] == ids[None]).any(-1) | (ids[None, :, :1] == ids[:, None]).any(-1)
    same_NN = torch.from_numpy(same & ~np.eye(len(pairs), dtype=bool))
    same_NN &= label_N[:, None] == label_N[None]
    weight_N = torch.tensor([rows[index][2] for index in chosen])
    factor = torch.full((len(labels),), 1 / TAU, requires_grad=True)
    offset = torch.zeros(len(labels), requires_grad=True)
    optimiser = torch.optim.LBFGS([factor, offset], max_iter=40, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        logit_NN = score_NN * factor[label_N] + offset[label_N]
        each_N = cross_entropy(
            logit_NN.masked_fill(same_NN, -1e9), torch.arange(len(pairs)), reduction="none"
        )
        loss = (each_N * weight_N).sum() / weight_N.sum()
        loss.backward()
        return loss

    optimiser.step(step)
    return {
        label: (factor[place].item(), offset[place].item()) for place, label in enumerate(labels)
    }


# Ways of ranking: each gives the order of the candidates for every query, best first


def by_score(score_QC: np.ndarray) -> np.ndarray:
    return np.argsort(-score_QC, axis=1, kind="stable")


def centred(it: Asked) -> np.ndarray:
    moved_CD = it.candidate_CD.copy()
    for label in it.labels:
        moved_CD[it.label_C == label] -= moved_CD[it.label_C == label].mean(0)
    moved_CD /= np.linalg.norm(moved_CD, axis=1, keepdims=True)
    return by_score(it.query_QD @ moved_CD.T)


def z_scores(it: Asked) -> np.ndarray:
    score_QC = it.score_QC.copy()
    for label in it.labels:
        part = score_QC[:, it.label_C == label]
        score_QC[:, it.label_C == label] = (part - part.mean(1, keepdims=True)) / part.std(
            1, keepdims=True
        )
    return by_score(score_QC)


def scaled(it: Asked, scale: dict[str, tuple[float, float]]) -> np.ndarray:
    factor, offset = (np.array([scale[label][i] for label in it.label_C]) for i in (0, 1))
    return by_score(it.score_QC * factor + offset)


def chances(it: Asked, shares: Shares) -> np.ndarray:
    """log of each candidate's modality's share, shape (Q, C)."""
    rows = [shares(query, it.labels) or even(it.labels) for query in it.task.queries]
    return np.log([[row[label] for label in it.label_C] for row in rows])


def posterior(it: Asked, shares: Shares) -> np.ndarray:
    """Softmax within a modality, at the temperature of training, times the modality's share."""
    logit_QC = it.score_QC / TAU
    for label in it.labels:
        part = logit_QC[:, it.label_C == label]
        top = part.max(1, keepdims=True)
        logit_QC[:, it.label_C == label] = part - (
            top + np.log(np.exp(part - top).sum(1, keepdims=True))
        )
    return by_score(logit_QC + chances(it, shares))


def raised(it: Asked, shares: Shares) -> np.ndarray:
    return by_score(it.score_QC / TAU + chances(it, shares))


def fused(it: Asked, shares: Shares) -> np.ndarray:
    """The library's own: lists by cosine, places by share."""
    rows = []
    for query, score_C in zip(it.task.queries, it.score_QC, strict=True):
        lists = {}
        for label in it.labels:
            inside = np.flatnonzero(it.label_C == label)
            best = inside[np.argsort(-score_C[inside], kind="stable")[:DEPTH]]
            lists[label] = [_found(int(place), label, float(score_C[place])) for place in best]
        order = fuse(lists, shares(query, it.labels) or even(it.labels))
        rows.append([int(one.record.id) for one in order[:DEPTH]])
    return np.array(rows)


def reciprocal(it: Asked, shares: Shares) -> np.ndarray:
    """Weighted reciprocal-rank fusion with the usual constant of 60."""
    score_QC = np.zeros_like(it.score_QC)
    for label in it.labels:
        inside = it.label_C == label
        rank = np.argsort(np.argsort(-it.score_QC[:, inside], axis=1), axis=1)
        score_QC[:, inside] = 1 / (61 + rank)
    return by_score(np.exp(chances(it, shares)) * score_QC + 1e-6 * it.score_QC)


def _found(place: int, label: str, score: float) -> Found:
    name = f"{place:06d}"
    return Found(
        Record(id=name, path=name, source=name, digest=name, modality=label, size=0, mtime_ns=0),
        score,
    )


# Shares


def by_name(share: float) -> Shares:
    def shares(query: Item, labels: Sequence[str]) -> dict[str, float] | None:
        wanted = named(query)
        return None if wanted is None else favouring(wanted, labels, share)

    return shares


def by_model(model: Any, feature: Callable[[Asked], np.ndarray], it: Asked) -> Shares:
    rows = model.predict_proba(feature(it))
    known = {
        id(query): dict(zip(model.classes_, row, strict=True))
        for query, row in zip(it.task.queries, rows, strict=True)
    }
    return lambda query, labels: {label: known[id(query)][label] + 1e-12 for label in labels}


def truth(it: Asked) -> Shares:
    known = {
        id(query): target.label
        for query, target in zip(it.task.queries, it.task.target_modality, strict=True)
    }
    return lambda query, labels: {
        label: 1.0 if label == known[id(query)] else 1e-12 for label in labels
    }


def first_of(*ways: Shares) -> Shares:
    def shares(query: Item, labels: Sequence[str]) -> dict[str, float] | None:
        return next((found for way in ways if (found := way(query, labels))), None)

    return shares


def trusting(trusted: float, way: Shares) -> Shares:
    def shares(query: Item, labels: Sequence[str]) -> dict[str, float] | None:
        found = way(query, labels)
        return None if found is None else blended(found, trusted)

    return shares


def unseen(fits: Fitted) -> Shares:
    return lambda query, labels: fits.without[str(query.id).split("/")[0]].shares(query, labels)


def ways(fits: Fitted) -> dict[str, Callable[[Asked], np.ndarray]]:
    words = fits.words.shares

    def vectors(it: Asked) -> Shares:
        return by_model(fits.vectors, lambda it: it.query_QD, it)

    def both(it: Asked) -> Shares:
        return by_model(
            fits.both, lambda it: np.hstack([it.query_QD, logits(fits.words, it.task.queries)]), it
        )

    def named_or_cosine(it: Asked) -> np.ndarray:
        by_words, plain = fused(it, by_name(NAMED)), by_score(it.score_QC)[:, :DEPTH]
        silent = np.array([named(query) is None for query in it.task.queries])
        return np.where(silent[:, None], plain, by_words)

    return {
        "cosine (`--raw`)": lambda it: by_score(it.score_QC),
        "even lists = reciprocal-rank fusion": lambda it: fused(it, lambda *_: None),
        "centred": centred,
        "z-scores": z_scores,
        "factor and offset per modality, fitted": lambda it: scaled(it, fits.scale),
        "softmax within a modality": lambda it: posterior(it, lambda *_: None),
        "named 0.6, else even": lambda it: fused(it, by_name(0.6)),
        "named 0.75, else even": lambda it: fused(it, by_name(0.75)),
        "named 0.9, else even": lambda it: fused(it, by_name(0.9)),
        "named 0.9, else cosine": named_or_cosine,
        "named 0.9, reciprocal ranks with 60": lambda it: reciprocal(it, by_name(0.9)),
        "router on the vector": lambda it: fused(it, vectors(it)),
        "router on words and modalities": lambda it: fused(it, words),
        "router on all three": lambda it: fused(it, both(it)),
        "router, softmax within a modality": lambda it: posterior(it, words),
        "router, cosine raised": lambda it: raised(it, words),
        "router, 0.6 of it trusted": lambda it: fused(it, trusting(0.6, words)),
        "router, 0.8 of it trusted": lambda it: fused(it, trusting(0.8, words)),
        "named, else router, 0.6 of it (default)": lambda it: fused(
            it, first_of(by_name(NAMED), trusting(TRUSTED, words))
        ),
        "router fitted without the task asked": lambda it: fused(it, unseen(fits)),
        "the same, 0.6 of it trusted": lambda it: fused(it, trusting(TRUSTED, unseen(fits))),
        "named, else the same": lambda it: fused(
            it, first_of(by_name(NAMED), trusting(TRUSTED, unseen(fits)))
        ),
        "`--only`, told the truth": lambda it: fused(it, truth(it)),
    }


# Scores


def outcomes(it: Asked, order: np.ndarray, half: int) -> np.ndarray:
    """Of each query of a half: first, among ten, wrong modality first, same meaning first."""
    names = [str(candidate.id).split(":")[-1] for candidate in it.task.candidates]
    rows = []
    for place, query in enumerate(it.task.queries):
        if int(str(query.id).split("/")[1]) % 2 != half:
            continue
        answers, target = it.task.positives[place], it.task.target_modality[place]
        first, ten = int(order[place][0]), {int(one) for one in order[place][:10]}
        rows.append(
            (
                first in answers,
                bool(answers & ten),
                it.label_C[first] != target.label,
                names[first] in {names[answer] for answer in answers},
            )
        )
    return np.array(rows, np.float64)


def spread(values: np.ndarray) -> str:
    rng = np.random.default_rng(SEED)
    means = values[rng.integers(0, len(values), (1000, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{values.mean():.3f} ({low:.3f}–{high:.3f})"


def report(name: str, model: Embedder, world: Path, fits: Fitted) -> None:
    for way, title in ((replace, "as the world asks"), (asked_where, "“find the clip where …”")):
        tasks = mixed_tasks(model, world, way)
        print(f"\n### {name}, {title}\n")
        print(
            "| ranking | R@1 | R@10 | wrong modality first | same meaning first | R@1, choosing |"
        )
        print("|---|---|---|---|---|---|")
        for label, rank in ways(fits).items():
            orders = [rank(it) for it in tasks]
            chosen, told = (
                np.concatenate([outcomes(it, o, half) for it, o in zip(tasks, orders, strict=True)])
                for half in (0, 1)
            )
            print(
                f"| {label} | {spread(told[:, 0])} | {told[:, 1].mean():.3f}"
                f" | {spread(told[:, 2])} | {told[:, 3].mean():.3f} | {chosen[:, 0].mean():.3f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--router", type=Path, help="keep the router on words here")
    given = parser.parse_args()
    for name in given.models:
        with Embedder.open(name) as model:
            fits = fitted(model, given.world)
            report(Path(name).name, model, given.world, fits)
    if given.router:
        fits.words.save(given.router)


if __name__ == "__main__":
    main()
