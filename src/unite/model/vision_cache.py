"""What a frozen vision tower makes of each medium, on disk: computed once, read in every epoch.

Half of a step's work is the vision tower's, and it gives the same each time. A file holds the
visual tokens of one medium; its name is a hash of the medium's content, its folder one of all that
shapes the tokens: the tower's weights, the pixel and frame policy, the dtype. About 3 kB a visual
token in bf16: a clip of 12 frames takes 4.6 MB at a width of 1536.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from unite.media.source import Limits, file_digest, file_state, name_of, open_source
from unite.model.preprocess import Grid, Pixels, Seen, see
from unite.types import Clip
from unite.whole import whole

if TYPE_CHECKING:
    from torch import Tensor

    from unite.model.checkpoint import Model
    from unite.model.policy import Policy

_REMEMBERED = 1 << 20


@dataclass(frozen=True, slots=True)
class VisionCache:
    """The folder of one vision tower under one policy.

    Attributes:
        directory: Holds a file for each medium; any number of processes may read and write.
    """

    directory: Path

    @classmethod
    def of(cls, model: Model, policy: Policy, directory: Path) -> VisionCache:
        """The cache of a model beneath a directory, for media prepared by a policy."""
        import torch

        digest = hashlib.sha256()
        for name, part in sorted(model.encoder.visual.state_dict().items()):
            digest.update(f"{name} {part.dtype}".encode())
            flat = part.detach().cpu().contiguous().view(-1).view(torch.uint8)
            digest.update(flat.numpy().tobytes())
        row = {"pixels": policy.to_json()["pixels"], "frames": policy.to_json()["frames"]}
        row["backbone"] = model.encoder.config.to_json()
        digest.update(json.dumps(row, sort_keys=True).encode())
        return cls(directory / digest.hexdigest()[:16])

    def key(self, reference: str | Clip) -> str:
        """A medium's name here: its content, and which part of it is meant.

        Raises:
            MediaError: It cannot be read.
        """
        path = reference.path if isinstance(reference, Clip) else reference
        span = (reference.start, reference.end) if isinstance(reference, Clip) else "picture"
        return hashlib.sha256(f"{_content(path)}{span}".encode()).hexdigest()

    def get(self, key: str) -> Seen | None:
        """The visual tokens of a medium, or None if they are not here."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(key), framework="pt") as file:
                grid: Grid = tuple(json.loads(file.metadata()["grid"]))
                tokens_VD = file.get_tensor("tokens")
                half = tokens_VD.dtype == torch.bfloat16
                return Seen((tokens_VD.view(torch.uint16) if half else tokens_VD).numpy(), grid)
        except FileNotFoundError:
            return None
        except SafetensorError:  # of a disk that failed: ours are renamed when whole
            return None

    def put(self, key: str, tokens_VD: Tensor, grid: Grid) -> None:
        """Keep the visual tokens of a medium."""
        from safetensors.torch import save_file

        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"tokens": tokens_VD.detach().cpu().contiguous()}
        with whole(path, lasting=False) as draft:  # what is damaged counts as not there
            save_file(tensors, draft, metadata={"grid": json.dumps(grid)})

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key[2:]}.safetensors"


@dataclass(frozen=True, slots=True)
class Sight:
    """Gives what a model sees of a medium; importable, so that workers may run it.

    Attributes:
        policy: Which frames, what size.
        limits: What is opened at all.
        cache: Looked into before anything is decoded.
    """

    policy: Policy
    limits: Limits
    cache: VisionCache | None = None

    def __call__(self, reference: str | Clip) -> Pixels | Seen:
        """Visual tokens if they are in the cache, else pixels that know their name there.

        Raises:
            MediaError: It cannot be opened or decoded.
        """
        if self.cache is None:
            return see(reference, self.policy, self.limits)
        key = self.cache.key(reference)
        found = self.cache.get(key)
        return found or replace(see(reference, self.policy, self.limits), key=key)


def _content(reference: str) -> str:
    """A hash of what a reference names, or of the `data:` URI that it is."""
    if name_of(reference) != reference:
        return hashlib.sha256(reference.encode(errors="surrogatepass")).hexdigest()
    state = file_state(reference)
    if state is None:
        open_source(reference, Limits())  # says what is wrong with it
    return _digest(reference, state)


@lru_cache(_REMEMBERED)
def _digest(reference: str, state: tuple[int, int] | None) -> str:
    return file_digest(reference)
