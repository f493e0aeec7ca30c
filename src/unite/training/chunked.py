"""One step over a batch of any size in the memory of one chunk, exactly.

GradCache (Gao et al., 2021), chunks decoded just in time.

The loss needs the vectors of the whole batch; the gradient of each vector is all that a chunk's
backward pass needs of the others. So chunks are embedded without a graph, the loss gives the
gradient of every vector, and each chunk is embedded again, with its graph, to take it on. Same
chunks and same random numbers in both passes: then the gradient is that of the whole batch in one
graph, dropout and all.

Shapes: R rows of a process's batch, C rows of a chunk, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unite.loss.gather import meeting_device, world_size
from unite.loss.module import LABELS, MamclLoss
from unite.model.vision_cache import VisionCache
from unite.training.feed import Feed, Rows

Features = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the trainer knows of data-parallel training.

    Attributes:
        backward: Runs a backward pass.
        no_sync: Within it, a backward pass keeps its gradients to this process.
        to_device: Moves features.
        equal_forwards: Whether all processes must run the same number of forward passes, as
            under FSDP, where each gathers parameters.
    """

    backward: Callable[[Tensor], None]
    no_sync: Callable[[], AbstractContextManager[Any]]
    to_device: Callable[[Features], Features]
    equal_forwards: bool = False


class ChunkedStep:
    """Runs steps.

    Args:
        loss: Its `contrast` is the objective.
        feed: Gives the chunks.
        keep_bytes: Memory for what spares the second pass work: the visual tokens of a frozen
            vision tower, else the decoded pixels. What does not fit is decoded again.
        frozen_vision: Whether visual tokens are the same in both passes.
        vision_cache: Takes what a frozen vision tower makes of media that are not in it.
    """

    def __init__(
        self,
        loss: MamclLoss,
        feed: Feed,
        *,
        keep_bytes: int,
        frozen_vision: bool,
        vision_cache: VisionCache | None = None,
    ) -> None:
        self.loss = loss
        self.feed = feed
        self.keep_bytes = keep_bytes
        self.frozen_vision = frozen_vision
        self.vision_cache = vision_cache

    def run(self, model: nn.Module, step: int, hooks: Hooks, *, scale: float = 1.0) -> Tensor:
        """Add the gradient of a step's loss to the parameters.

        Args:
            model: Gives `sentence_embedding` for features; may be wrapped for data parallelism.
            step: Its number in the plan.
            hooks: The trainer's.
            scale: What the gradient is multiplied with, such as one over accumulated steps.

        Returns:
            This process's part of the loss; the mean over processes is that of the batch.
        """
        chunks = self.feed.chunks(step)
        # All go the same way: a process that is done in one pass would meet the others'
        # collectives in another order.
        most = 1 if self.feed.chunk_tokens is None else _most(len(chunks))
        if most == 1:
            return self._whole(model, step, chunks, hooks, scale)
        forwards = most if hooks.equal_forwards else len(chunks)
        passed = self._first_pass(model, step, chunks, hooks, forwards)
        self.feed.prepare(step + 1)
        leaf_RD = torch.cat([part.vector_CD for part in passed]).requires_grad_()
        loss = self.loss.contrast(leaf_RD, _joined([part.labels for part in passed]))
        (scale * loss).backward()  # of the vectors, and of a learned temperature
        assert leaf_RD.grad is not None
        grads = leaf_RD.grad.split([len(part.vector_CD) for part in passed])
        del leaf_RD
        self._second_pass(model, step, passed, grads, hooks, forwards)
        return loss.detach()

    def _whole(
        self, model: nn.Module, step: int, chunks: Sequence[Rows], hooks: Hooks, scale: float
    ) -> Tensor:
        """A batch of one chunk needs no second pass."""
        (loaded,) = self.feed.load(step, chunks)
        self.feed.prepare(step + 1)
        features = hooks.to_device(loaded.features)
        labels = _labels(features)
        out = model(dict(features))
        self._remember(features, out["seen"])
        loss = self.loss.contrast(out["sentence_embedding"], labels)
        hooks.backward(scale * loss)
        return loss.detach()

    def _first_pass(
        self, model: nn.Module, step: int, chunks: Sequence[Rows], hooks: Hooks, forwards: int
    ) -> list[_Passed]:
        passed, room = [], self.keep_bytes
        for loaded in self.feed.load(step, chunks):
            features = hooks.to_device(loaded.features)
            labels = _labels(features)
            state = RandomState()
            with torch.no_grad():
                out = model(dict(features))
            self._remember(features, out["seen"])
            kept = _light(features, out["seen"]) if self.frozen_vision else features
            size = _size(kept)
            fits = size <= room
            room -= size if fits else 0
            vector_CD = out["sentence_embedding"].float()
            passed.append(_Passed(loaded.rows, vector_CD, labels, state, kept if fits else None))
            spare = features
        for _ in range(forwards - len(passed)):  # the others are not done yet
            with RandomState().replayed(), torch.no_grad():
                model(dict(spare))
        return passed

    def _second_pass(
        self,
        model: nn.Module,
        step: int,
        passed: Sequence[_Passed],
        grads: Sequence[Tensor],
        hooks: Hooks,
        forwards: int,
    ) -> None:
        busy = [number for number, grad_CD in enumerate(grads) if bool(grad_CD.any())]
        if hooks.equal_forwards:
            busy = [*range(len(passed)), *[0] * (forwards - len(passed))]
        busy = busy or [0]  # data-parallel training waits for one backward pass of every process
        again = [passed[number] for number in busy]
        done: set[int] = set()
        for place, (number, features) in enumerate(
            zip(busy, self._again(step, again, hooks), strict=True)
        ):
            last = place + 1 == len(busy)
            grad_CD = torch.zeros_like(grads[number]) if number in done else grads[number]
            done.add(number)
            with nullcontext() if last else hooks.no_sync():
                with passed[number].state.replayed():
                    vector_CD = model(features)["sentence_embedding"]
                hooks.backward((vector_CD.float() * grad_CD).sum())

    def _again(self, step: int, passed: Sequence[_Passed], hooks: Hooks) -> Iterator[Features]:
        """The features of chunks once more: those kept, the others decoded anew."""
        lost = [part.rows for part in passed if part.kept is None]
        loads = self.feed.load(step, lost, again=True)
        for part in passed:
            if part.kept is not None:
                yield dict(part.kept)
            else:
                yield hooks.to_device(next(loads).features)

    def _remember(self, features: Features, seen: Sequence[Tensor]) -> None:
        """Put into the cache of visual tokens what was not there."""
        if self.vision_cache is None:
            return
        media = zip(features["keys"], features["grids"], seen, features["seen"], strict=True)
        for key, grid, tokens_VD, known in media:
            if known is None and key is not None:
                self.vision_cache.put(key, tokens_VD, grid)


@dataclass(frozen=True, slots=True)
class _Passed:
    """A chunk after its first pass."""

    rows: Rows
    vector_CD: Tensor
    labels: Features
    state: RandomState
    kept: Features | None


class RandomState:
    """The random numbers from here on, of this process and its GPU."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw them again; what comes after is as if nothing had been drawn."""
        after = RandomState()
        self._set()
        try:
            yield
        finally:
            after._set()

    def _set(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._gpu is not None:
            torch.cuda.set_rng_state(self._gpu)


def _labels(features: Features) -> Features:
    return {name: features[name] for name in (*LABELS, "has_negatives")}


def _joined(labels: Sequence[Features]) -> Features:
    joined: Features = {name: torch.cat([part[name] for part in labels]) for name in LABELS}
    return joined | {"has_negatives": labels[0]["has_negatives"]}


def _light(features: Features, seen: Sequence[Tensor]) -> Features:
    """Features with visual tokens in place of patches."""
    return {**features, "patches_PK": None, "seen": list(seen)}


def _size(features: Features) -> int:
    """Bytes of what is kept."""
    tensors = [*features.values(), *features["seen"]]
    return sum(part.nbytes for part in tensors if isinstance(part, Tensor))


def _most(count: int) -> int:
    """The largest number among the processes."""
    if world_size() == 1:
        return count
    most = torch.tensor([count], device=meeting_device())
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return int(most)
