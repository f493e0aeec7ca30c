"""A run told before it begins: what it would see, in which batches, and what that would cost.

The pairs are read into the run's own store, which the run then finds there; nothing else is
written.

Legend: S batches, N rows of a global batch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unite.data.mixture import count_drawn, kind_label
from unite.data.sampler import chunk, share_out
from unite.model.config import BackboneConfig
from unite.training.composition import Composition, compose
from unite.training.estimate import Chunking, Flops, Load, Memory, flops, memory
from unite.training.fit import Progress
from unite.training.lengths import Sample, as_load
from unite.training.preflight import Start, start_of
from unite.training.recipe import Recipe, sources_of
from unite.training.stages import plan_run, read_store

_BATCHES = 8
"""Batches that are dealt out for the figures of processes and chunks."""
_TARGET = 8
"""A kind modulo this is the target's modality code."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A pair of modalities: its examples, and tokens of a pair in the mean over the sample."""

    examples: int
    tokens: float
    visual: float


@dataclass(frozen=True, slots=True)
class SourceUse:
    """A source: its rows, how many examples are drawn from it, how often each row is seen."""

    rows: int
    examples: int
    times: float


@dataclass(frozen=True, slots=True)
class DryRun:
    """Everything that is known of a run before it begins.

    Attributes:
        start: What it starts from.
        processes: As launched now, or as the recipe says.
        steps: Of the optimiser.
        epochs: Examples over rows that may be drawn.
        rows_left_out: Rows of the sources that are no pairs.
        sampled: Rows that lengths were guessed on.
        too_long: Items of the sample above the token limit, which would be bad samples.
        unreadable: Media of the sample that cannot be opened, with the reason.
        load: Of a global batch, in the mean.
        chunking: Of the process with the most to do.
        flops: Of a global batch; None where the shapes are not known.
        memory: Of a process; None where the shapes are not known.
    """

    start: Start
    processes: int
    batch_size: int
    steps: int
    epochs: float
    sources: dict[str, SourceUse]
    rows_left_out: int
    kinds: dict[str, Kind]
    composition: Composition
    sampled: int
    too_long: int
    unreadable: dict[str, str]
    load: Load
    chunking: Chunking
    flops: Flops | None
    memory: Memory | None

    def to_json(self) -> dict[str, Any]:
        """All of it as a JSON object; of the start its name and place."""
        row = asdict(self)
        row["start"] = {"name": self.start.name, "place": self.start.place}
        if self.memory is not None:
            row["memory"]["total"] = self.memory.total
        return row


def dry_run(
    recipe: Recipe,
    output: Path,
    *,
    processes: int,
    progress: Progress = lambda what, done, total: None,
) -> DryRun:
    """Plan a run without running it. `find_problems` should have found none.

    Args:
        recipe: Of the run.
        output: Its directory; it gets the store of pairs and is not claimed.
        processes: That would train.
        progress: Told how far the reading is.

    Raises:
        DataError: A source cannot be read, or the sources cannot be mixed.
        RecipeError: A source is missing, or an epoch is shorter than a step.
    """
    start = start_of(recipe)
    pairs = read_store(sources_of(recipe), output, recipe, progress)
    plan = plan_run(recipe, pairs)
    sample = Sample.of(recipe, start.policy.with_frames(recipe.data.frames), plan, pairs)
    kind_SN = np.asarray(pairs.kind_N[plan.rows])
    load = _load(sample, kind_SN)
    chunking = _chunking(recipe, sample, kind_SN, processes)
    config = start.config if isinstance(start.config, BackboneConfig) else None
    return DryRun(
        start=start,
        processes=processes,
        batch_size=plan.rows.shape[1],
        steps=len(plan.rows) // recipe.optimiser.accumulation,
        epochs=plan.rows.size / count_drawn(pairs.kind_N, recipe.data.modality_weights),
        sources={
            name: SourceUse(rows, plan.sources[name], plan.sources[name] / max(rows, 1))
            for name, rows in pairs.sizes.items()
        },
        rows_left_out=len(pairs.bad),
        kinds=_kinds(sample, kind_SN),
        composition=compose(kind_SN % _TARGET, masked=recipe.loss.masked),
        sampled=sum(map(len, sample.loads.values())),
        too_long=sample.too_long,
        unreadable=sample.unreadable,
        load=load,
        chunking=chunking,
        flops=None if config is None else flops(config, load, recipe, chunking),
        memory=None if config is None else memory(config, load, recipe, chunking),
    )


def _kinds(sample: Sample, kind_SN: npt.NDArray[np.uint8]) -> dict[str, Kind]:
    """Examples and mean tokens of each pair of modalities, the most frequent first."""
    codes, counts = np.unique(kind_SN, return_counts=True)
    found = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        mean = sample.mean(int(codes[place]))
        kind = Kind(int(counts[place]), mean.tokens, mean.visual)
        found[kind_label(int(codes[place]))] = kind
    return found


def _load(sample: Sample, kind_SN: npt.NDArray[np.uint8]) -> Load:
    """Of a global batch in the mean: each kind by its share."""
    codes, counts = np.unique(kind_SN, return_counts=True)
    means = np.stack([sample.loads[code].mean(0) for code in codes.tolist()])
    return as_load(counts @ means / len(kind_SN))


def _chunking(
    recipe: Recipe, sample: Sample, kind_SN: npt.NDArray[np.uint8], processes: int
) -> Chunking:
    """Deal out the first batches as training would, each row with a sampled cost of its kind."""
    rng = np.random.default_rng(recipe.optimiser.seed)
    shares: list[npt.NDArray[np.int64]] = []
    for kind_N in kind_SN[:_BATCHES]:
        cost_N = np.array([rng.choice(sample.loads[int(kind)][:, 1]) for kind in kind_N], np.int64)
        shares += [cost_N[places] for places in share_out(cost_N, processes)]
    cut = [
        [int(cost_A[places].sum()) for places in chunk(cost_A, recipe.run.chunk_tokens)]
        for cost_A in shares
    ]
    return Chunking(
        tokens=max(int(cost_A.sum()) for cost_A in shares),
        chunks=max(map(len, cut)),
        largest=max(max(sizes) for sizes in cut),
    )
