"""One training step on the small world's files; imported anew by the processes of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unite.data.mixture import plan_batches
from unite.data.sources import Source
from unite.data.store import PairStore
from unite.loss.gather import rank
from unite.loss.module import LABELS, MamclLoss
from unite.model.adapters import add_adapters
from unite.model.cost import Costs
from unite.model.preprocess import Preprocessor
from unite.model.scratch import random_model
from unite.model.transformer import wrap
from unite.model.vision_cache import Sight, VisionCache
from unite.prompts import render
from unite.training.batches import PairCollator
from unite.training.chunked import ChunkedStep, Hooks
from unite.training.feed import Feed
from unite.training.ledger import Ledger

SOURCES = ("tt", "i2t", "t2v", "t2ti", "it2i_edit", "vt2v")
BATCH = 27
STEPS = {"ddp": 3, "fsdp": 1}
FSDP_TOKENS = (1,)
UNEVEN = {2: 1380, 4: 710}
"""Tokens at which some processes have one chunk and others have two."""
SHAPES = {
    "width": 32, "mlp_width": 48, "depth": 3, "heads": 4, "kv_heads": 2, "vision_width": 32,
    "vision_depth": 1, "vision_heads": 2, "vocabulary": 400, "side": 84, "nframes": 4,
    "max_tokens": 1024, "init_std": 0.05,
}  # fmt: skip


class Setting:
    """A model, a loss and a feed, the same every time and on every process."""

    def __init__(
        self,
        world: Path,
        folder: Path,
        *,
        chunk_tokens: int | None,
        dropout: float | None = 0.1,
        keep_bytes: int = 1 << 30,
        workers: int = 0,
        cache: Path | None = None,
        bounds: tuple[float, float] | None = None,
        masked: bool = True,
        symmetric: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.manual_seed(0)
        sources = {name: Source(path=world / "train" / f"{name}.json") for name in SOURCES}
        pairs = PairStore.build(sources, folder / "pairs")
        items = [item for pair in pairs for item in (pair.query, pair.candidate)]
        texts = [render(item).text for item in items]
        self.model = random_model(texts, seed=1, **SHAPES)
        if dropout is not None:
            add_adapters(self.model.encoder, 4, 8, dropout)
            self._stir()
        self.model.encoder.to(dtype)
        self.network = wrap(self.model).to("cpu").train()
        self.loss = MamclLoss(
            self.network, temperature=0.1, temperature_bounds=bounds,
            masked=masked, symmetric=symmetric,
        )  # fmt: skip
        preprocessor = Preprocessor(self.model.tokenizer, self.model.policy)
        plan = plan_batches(
            pairs.sizes, pairs.kind_N, batch_size=BATCH, steps=3, seed=5,
            weights=dict.fromkeys(SOURCES, 1.0),
        )  # fmt: skip
        kept = VisionCache.of(self.model, self.model.policy, cache) if cache else None
        self.feed = Feed(
            plan, pairs, pairs.kind_N, pairs.sizes, PairCollator(preprocessor),
            Costs(self.model.policy), Ledger(folder / f"bad-{rank()}.jsonl", 0.5),
            Sight(self.model.policy, preprocessor.limits, kept),
            chunk_tokens=chunk_tokens, workers=workers, seconds=60,
        )  # fmt: skip
        self.step = ChunkedStep(
            self.loss, self.feed, keep_bytes=keep_bytes,
            frozen_vision=dropout is not None, vision_cache=kept,
        )  # fmt: skip

    def _stir(self) -> None:
        """Adapters begin with zeros, through which no gradient passes to their first matrix."""
        generator = torch.Generator().manual_seed(2)
        for name, part in self.model.encoder.named_parameters():
            if "lora_B" in name:
                part.data.normal_(0, 0.1, generator=generator)

    def hooks(self, network: nn.Module | None = None, **options: Any) -> Hooks:
        no_sync = getattr(network, "no_sync", nullcontext)
        return Hooks(Tensor.backward, no_sync, lambda features: features, **options)

    def run(self, steps: int = 1, network: nn.Module | None = None, **options: Any) -> Tensor:
        """The sum of the losses of some steps; its gradient is in the parameters."""
        torch.manual_seed(7)
        hooks = self.hooks(network, **options)
        with self.feed:
            losses = [self.step.run(network or self.network, step, hooks) for step in range(steps)]
        return torch.stack(losses).sum()

    def in_one_graph(self, step: int = 0) -> Tensor:
        """The same chunks and random numbers, but one graph over all."""
        torch.manual_seed(7)
        features = [part.features for part in self.feed.load(step, self.feed.chunks(step))]
        vectors = [self.network(dict(part))["sentence_embedding"] for part in features]
        labels: dict[str, Any] = {
            name: torch.cat([part[name] for part in features]) for name in LABELS
        }
        loss = self.loss.contrast(torch.cat(vectors), labels | {"has_negatives": True})
        loss.backward()
        return loss.detach()

    def gradients(self) -> dict[str, Tensor]:
        parts = dict(self.network.named_parameters())
        parts["temperature"] = self.loss.log_temperature
        return {name: part.grad for name, part in parts.items() if part.grad is not None}


def processes(number: int, world: int, folder: str, files: str, kind: str) -> None:
    """Write what one process found: its gradients after a chunked step of the whole batch."""
    torch.set_num_threads(1)
    meeting = Path(folder) / "meeting"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=world)
    found: dict[str, Any] = {}
    for form in forms(kind, world):
        setting = Setting(Path(files), Path(folder), **form)
        found[str(form)] = _distributed(setting, kind)
    torch.save(found, Path(folder) / f"{number}.pt")
    dist.barrier()
    dist.destroy_process_group()


def forms(kind: str, world: int) -> list[dict[str, Any]]:
    """What is compared with one process: no dropout, since processes draw their own."""
    if kind == "fsdp":
        return [
            {"chunk_tokens": tokens, "dropout": 0.0, "dtype": torch.float64}
            for tokens in FSDP_TOKENS
        ]
    return [
        {"chunk_tokens": tokens, "dropout": dropout, "masked": masked, "symmetric": symmetric,
         "bounds": (0.01, 1.0), "dtype": torch.float64}
        for tokens, dropout, masked, symmetric in (
            (None, 0.0, True, False), (700, 0.0, True, False), (700, None, False, True),
            (UNEVEN[world], 0.0, True, True),
        )
    ]  # fmt: skip


def _distributed(setting: Setting, kind: str) -> dict[str, Any]:
    rows = [len(rows) for rows in setting.feed.chunks(0)]
    if kind == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for layer in setting.model.encoder.model.layers:
            fully_shard(layer)
        network: Any = fully_shard(setting.network)
        loss = setting.run(STEPS["fsdp"], network, equal_forwards=True)
        grads = {name: part.full_tensor() for name, part in _sharded(network)}
        return {"loss": loss, "gradients": grads, "rows": rows}
    setting.loss.model = DistributedDataParallel(setting.network)
    loss = setting.run(STEPS["ddp"], setting.loss.model)
    return {"loss": loss, "gradients": setting.gradients(), "rows": rows}


def _sharded(network: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, part in network.named_parameters():
        if part.grad is not None:
            yield name, part.grad
