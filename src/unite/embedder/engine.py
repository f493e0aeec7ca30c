"""A loaded model that embeds whatever it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from unite.embedder.decode import Decoders, See
from unite.embedder.encode import BatchEncoder
from unite.embedder.figures import Figures
from unite.embedder.flow import Budget, Flow
from unite.embedder.heap import keep_large_apart
from unite.embedder.seats import DeviceEncoder, ProcessSeats, Seats, ThreadSeat
from unite.errors import CheckpointError
from unite.media.source import Limits
from unite.model.checkpoint import Model, load_model
from unite.model.policy import Policy
from unite.model.preprocess import Pixels, Preprocessor, Seen, see
from unite.types import Embedding, Item, Vector

ON_CPU = Budget(window=16384, batch=2048)
ON_GPU = Budget(window=131072, batch=32768)


class Embedder:
    """A loaded model that embeds; satisfies `unite.types.Encoder`.

    It may hold threads and processes: close it, or use it in a `with`.

    Args:
        model: What to embed with.
        see: Gives the pixels of a medium; a cache may stand here. Importable by name, if there
            are workers.
        workers: Processes that decode media. A file that hangs or kills its decoder then costs
            itself only. Like all spawned processes they import the main module, so a script
            needs `if __name__ == "__main__":`. 0: threads of this process.
        threads: Media decoded at the same time, where there are no workers; beside them pictures
            that are already in memory.
        seconds: The longest that a worker may take for a medium.
        fit: Whether a clip gives up frames where its item would be longer than the model takes.
        limits: The largest media that are opened.
        devices: Where the network runs. One: in this process. Several: in a process for each,
            and the model must have been loaded from somewhere. None: where the weights are.
        budget: Tokens of a window and of a batch; None: a good default for the device.
    """

    def __init__(
        self,
        model: Model,
        *,
        see: See | None = None,
        workers: int = 0,
        threads: int = 2,
        seconds: float = 120.0,
        fit: bool = False,
        limits: Limits | None = None,
        devices: Sequence[str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        keep_large_apart()
        self.model = model
        self.seconds = seconds
        self.preprocessor = Preprocessor(model.tokenizer, model.policy, limits, fit=fit)
        self._decoders = Decoders(
            see or decoding(model.policy, self.preprocessor.limits),
            workers=workers,
            threads=threads,
            seconds=seconds,
        )
        self._seats = _seats(model, self.preprocessor, devices)
        self._budget = budget or default_budget(model, devices)

    @classmethod
    def open(
        cls,
        name: str,
        *,
        dtype: str | None = None,
        nframes: int | None = None,
        fps: float | None = None,
        max_frames: int | None = None,
        fit: bool = False,
        limits: Limits | None = None,
        workers: int = 0,
        seconds: float = 120.0,
        devices: Sequence[str] | None = None,
    ) -> Self:
        """Load a model to embed with.

        Args:
            name: A directory, `mini`, an alias such as `base-2b`, or a hub id.
            dtype: `float32` or `bfloat16`; by default what the machine computes faster.
            nframes: A fixed number of frames a clip.
            fps: Frames a second of a clip.
            max_frames: At most so many frames a clip.
            fit: Take fewer still where an item would be longer than the model takes.
            limits: The largest media that are opened.
            workers: Processes that decode media; see the class.
            seconds: The longest that a worker may take for a medium.
            devices: Where the network runs; by default on all GPUs, else on the CPU.

        Raises:
            CheckpointError: There is no such model, or it is not whole.
        """
        model = load_model(name, dtype=dtype)
        policy = model.policy.with_frames(nframes, fps, max_frames)
        return cls(
            replace(model, policy=policy),
            fit=fit,
            limits=limits,
            workers=workers,
            seconds=seconds,
            devices=gpus() if devices is None else devices,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and processes; they are started anew when they are needed."""
        self._decoders.close()
        self._seats.close()

    @property
    def name(self) -> str:
        """What the user called the model."""
        return self.model.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.model.dim

    @property
    def model_id(self) -> str:
        """Hash of all that shapes a vector."""
        return self.model.id

    @property
    def fits(self) -> bool:
        """Whether a clip gives up frames to fit, which `model_id` does not say."""
        return self.preprocessor.fit

    @property
    def dtype(self) -> str:
        """What the network computes in."""
        return str(next(self.model.encoder.parameters()).dtype).removeprefix("torch.")

    @property
    def side_by_side(self) -> int:
        """How many media are decoded at a time."""
        return self._decoders.side_by_side

    @property
    def mixed_gallery(self) -> bool:
        """Whether scores of candidates of different modalities are on one scale."""
        return self.model.policy.mixed_gallery

    def embed(self, items: Iterable[Item], figures: Figures | None = None) -> Iterator[Embedding]:
        """Embed items in order, one result each.

        Equal items are embedded once, as far as they are near each other.

        Args:
            items: Any mix; read ahead only as far as memory for a few windows reaches.
            figures: Takes down what was done.

        Yields:
            A vector or the reason why there is none, as many as items.
        """
        flow = Flow(
            iter(items),
            self.preprocessor,
            self._decoders,
            self._seats,
            self._budget,
            figures or Figures(),
        )
        try:
            yield from flow.results()
        finally:
            flow.cancel()


def gpus() -> list[str]:
    """The GPUs of this machine."""
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def default_budget(model: Model, devices: Sequence[str] | None = None) -> Budget:
    """Tokens of windows and batches that suit where the network runs."""
    places = devices or [next(model.encoder.parameters()).device.type]
    return ON_CPU if all(place.startswith("cpu") for place in places) else ON_GPU


def decoding(policy: Policy, limits: Limits) -> See:
    """Gives the pixels of a reference; may be sent to other processes."""
    return partial(_see, policy, limits)


def _see(policy: Policy, limits: Limits, reference: Any) -> Pixels | Seen:
    return see(reference, policy, limits)


def _seats(model: Model, preprocessor: Preprocessor, devices: Sequence[str] | None) -> Seats:
    if devices and len(devices) > 1:
        if model.directory is None:
            raise CheckpointError(
                "A model made in memory runs on one device.", "Save it and load it from there."
            )
        dtype = str(next(model.encoder.parameters()).dtype).removeprefix("torch.")
        return ProcessSeats(
            [DeviceEncoder(model.name, dtype, model.policy, device) for device in devices]
        )
    if devices:
        model.encoder.to(devices[0])
    return ThreadSeat(BatchEncoder(model, preprocessor))


def stack(embeddings: Iterable[Embedding], dim: int) -> Vector:
    """Put vectors into one matrix (N, D); a failed item becomes a row of zeros.

    A zero row scores 0 with everything, so that it is never found before a real one.
    """
    rows = [
        np.zeros(dim, np.float32) if part.vector is None else part.vector for part in embeddings
    ]
    return np.stack(rows) if rows else np.empty((0, dim), np.float32)
