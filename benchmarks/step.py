"""A training step at the real width of Qwen2-VL-2B, fewer layers: what each saving gains.

As many text-text as text-image and text-video pairs, real pictures and clips of 12 frames, LoRA
with dropout, vision tower frozen. `padded` is the step of the released code: transformers' own
modules, queries and candidates each padded to their longest, gradient checkpointing, a dense loss.
Every line below it adds one saving and computes the same loss (dropout off in the first step, where
they are compared, on in the second, which is timed). Each measurement runs in a process of its own.

Usage: python benchmarks/step.py savings | memory | text
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from real_width import heavy_tailed, real_width

TAU = 0.03
PAIRS = 6
FRAMES = 12
TEXT_PAIRS = 32


# The model and its data


def _pairs(
    count: int,
    folder: Path,
    size: int,
    asked: tuple[float, float] = (2.5, 0.5),
    told: tuple[float, float] = (4.0, 0.9),
) -> Path:
    """A pair file: text-text, text-image and text-video in turn."""
    import av
    from PIL import Image

    rng, noise = random.Random(0), np.random.default_rng(0)
    rows = []
    for number in range(count):
        kind = ("text", "image", "video")[number % 3]
        query = {"text": heavy_tailed(rng, *asked)}
        if kind == "text":
            rows.append({"query": query, "candidate": {"text": heavy_tailed(rng, *told)}})
            continue
        values = noise.integers(0, 255, (size * 3 // 4 // 8, size // 8, 3), np.uint8)
        picture = Image.fromarray(values).resize((size, size * 3 // 4))
        if kind == "image":
            picture.save(folder / f"{number}.jpg")
            rows.append({"query": query, "candidate": {"image": f"{number}.jpg"}})
            continue
        with av.open(str(folder / f"{number}.mp4"), "w") as file:
            stream = file.add_stream("mpeg4", rate=8)
            stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
            for shift in range(8 * FRAMES):
                frame = np.roll(np.asarray(picture), shift * 4, 1)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode(None))
        rows.append({"query": query, "candidate": {"video": f"{number}.mp4"}})
    path = folder / "pairs.json"
    path.write_text(json.dumps(rows))
    return path


def _setting(
    model: Any, path: Path, *, chunk_tokens: int | None, cache: Path | None = None,
    dropout: float = 0.05, keep: int = 128 << 20,
) -> tuple[Any, Any]:  # fmt: skip
    """The step and the network of a run over all pairs at once."""
    from unite.data.mixture import plan_batches
    from unite.data.sources import Source
    from unite.data.store import PairStore
    from unite.loss.module import MamclLoss
    from unite.model.adapters import add_adapters
    from unite.model.cost import Costs
    from unite.model.preprocess import Preprocessor
    from unite.model.transformer import wrap
    from unite.model.vision_cache import Sight, VisionCache
    from unite.training.batches import PairCollator
    from unite.training.chunked import ChunkedStep
    from unite.training.feed import Feed
    from unite.training.ledger import Ledger

    pairs = PairStore.build({"all": Source(path=path)}, path.parent / "store")
    kept = VisionCache.of(model, model.policy, cache) if cache else None
    torch.manual_seed(0)
    add_adapters(model.encoder, 8, 16, dropout)
    network = wrap(model).train()
    loss = MamclLoss(network, temperature=TAU, masked=False, symmetric=False)
    preprocessor = Preprocessor(model.tokenizer, model.policy)
    plan = plan_batches(pairs.sizes, pairs.kind_N, batch_size=len(pairs), steps=4, seed=0)
    feed = Feed(
        plan, pairs, pairs.kind_N, pairs.sizes, PairCollator(preprocessor), Costs(model.policy),
        Ledger(path.parent / "bad.jsonl", 0.0), Sight(model.policy, preprocessor.limits, kept),
        chunk_tokens=chunk_tokens,
    )  # fmt: skip
    step = ChunkedStep(loss, feed, keep_bytes=keep, frozen_vision=True, vision_cache=kept)
    return step, network


# The padded step


class Padded(nn.Module):
    """transformers' Qwen2-VL, rows padded to the longest, as the released code runs it."""

    def __init__(self, model: Any, checkpointing: bool) -> None:
        super().__init__()
        from peft import LoraConfig, get_peft_model
        from transformers import Qwen2VLConfig, Qwen2VLModel

        self.config = model.encoder.config
        row = {key: value for key, value in self.config.to_json().items() if key != "model_type"}
        kind = Qwen2VLConfig(**row)
        self.net = Qwen2VLModel._from_config(kind, attn_implementation="sdpa")
        self.net.visual.load_state_dict(model.encoder.visual.state_dict())
        self.net.language_model.load_state_dict(model.encoder.model.state_dict())
        torch.manual_seed(0)
        targets = r"language_model\.layers\.\d+\..*_proj"
        get_peft_model(self.net, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05,
                                            target_modules=targets))  # fmt: skip
        if checkpointing:
            self.net.language_model.gradient_checkpointing_enable({"use_reentrant": False})
            # Without it nothing before the first adapter takes a gradient and all is skipped.
            self.net.language_model.get_input_embeddings().register_forward_hook(
                lambda _, __, out: out.requires_grad_()
            )

    def forward(self, features: dict[str, Any], rows: Tensor) -> Tensor:
        """Vectors of some rows of the features, padded to the longest of them."""
        ids = features["input_ids_BL"][rows, : int(features["length_B"][rows].max())]
        mask = torch.arange(ids.shape[1]) < features["length_B"][rows, None]
        pads = self.config.image_token_id, self.config.video_token_id
        embeds = self.net.language_model.get_input_embeddings()(ids)
        if features["patches_PK"] is not None and (ids == pads[0]).any() | (ids == pads[1]).any():
            seen = self.net.visual(features["patches_PK"], grid_thw=torch.tensor(features["grids"]))
            visual = ((ids == pads[0]) | (ids == pads[1])) & mask
            embeds = embeds.masked_scatter(visual[..., None], seen.pooler_output)
        out = self.net.language_model(
            inputs_embeds=embeds,
            attention_mask=mask.long(),
            position_ids=torch.arange(ids.shape[1]).expand(len(ids), -1),
            use_cache=False,
        )
        last = out.last_hidden_state[torch.arange(len(ids)), features["length_B"][rows] - 1]
        return F.normalize(last, dim=-1)

    def step(self, features: dict[str, Any]) -> Tensor:
        """Queries, then candidates, then the dense loss."""
        query, candidate = (
            self(features, (features["side"] == side).nonzero()[:, 0]) for side in (0, 1)
        )
        score = query @ candidate.T / TAU
        loss = F.cross_entropy(score, torch.arange(len(score)))
        loss.backward()
        return loss.detach()


# Savings

SAVINGS = {
    "padded": "transformers, padded, checkpointing",
    "no-checkpointing": "− checkpointing",
    "packed": "our forward pass: packed, vision in one attention call",
    "prefix": "+ shared prompt prefix",
    "last": "+ last layer for the pooled token only",
    "cache": "+ visual tokens from disk",
    "chunked": "in chunks (GradCache), visual tokens computed",
    "chunked-cache": "in chunks, visual tokens from disk",
}
PIXELS = {"min_pixels": 256 * 784, "max_pixels": 1280 * 784}


def _saving(name: str, folder: Path) -> dict[str, float]:
    from unite.model import language, qwen2_vl
    from unite.training.chunked import Hooks

    model = real_width(3, 3, PIXELS, FRAMES)
    chunk_tokens = 2500 if name.startswith("chunked") else None
    cache = folder / "cache" if name.endswith("cache") else None
    step, network = _setting(model, folder / "pairs.json", chunk_tokens=chunk_tokens, cache=cache)
    hooks = Hooks(Tensor.backward, nullcontext, lambda features: features)
    run: Callable[[int], Tensor] = lambda number: step.run(network, number, hooks)  # noqa: E731
    if name in ("padded", "no-checkpointing"):
        plain = Padded(real_width(3, 3, PIXELS, FRAMES), name == "padded")
        network = plain
        model.encoder.to("meta")  # else the weights are there twice

        def run(number: int) -> Tensor:
            (loaded,) = step.feed.load(number, step.feed.chunks(number))
            return plain.step(loaded.features)

    elif name == "packed":
        qwen2_vl.shared_prefix = lambda *_: 0  # type: ignore[assignment]
    if name in ("packed", "prefix"):
        whole = language.DecoderLayer.forward

        def every(self: Any, hidden: Tensor, rotation: Any, packing: Any, *, last: bool = False,
                  past: Any = None) -> Tensor:  # fmt: skip
            out = whole(self, hidden, rotation, packing, past=past)
            return out[packing.last_B] if last else out

        language.DecoderLayer.forward = every  # type: ignore[method-assign]
    network.eval()
    loss = float(run(0))
    network.train()
    start = time.perf_counter()
    run(1)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": peak, "loss": loss}


def savings() -> None:
    """A table of the savings, and whether all compute one loss."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _pairs(PAIRS, folder, 640)
        print("| step | seconds | examples/s | against padded | peak MB | loss, dropout off |")
        print("|---|---|---|---|---|---|")
        base = 0.0
        for key, label in SAVINGS.items():
            found = _apart("saving", key, name)
            base = base or found["seconds"]
            print(
                f"| {label} | {found['seconds']:.1f} | {PAIRS / found['seconds']:.2f} "
                f"| {base / found['seconds']:.2f}× | {found['megabytes']:.0f} "
                f"| {found['loss']:.5f} |",
                flush=True,
            )


# Memory

SMALL = {"min_pixels": 9 * 784, "max_pixels": 16 * 784, "clip_min_pixels": 9 * 784}
SHORT = (0.8, 0.3)


def _memory(count: int, folder: Path) -> dict[str, float]:
    from unite.training.chunked import Hooks

    step, network = _setting(real_width(2, 1, SMALL, 2), folder / "pairs.json", chunk_tokens=1500)
    hooks = Hooks(Tensor.backward, nullcontext, lambda features: features)
    chunks = len(step.feed.chunks(0))
    start = time.perf_counter()
    step.run(network, 0, hooks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"megabytes": peak, "chunks": chunks, "seconds": time.perf_counter() - start}


def memory() -> None:
    """Peak memory of a chunked step by global batch."""
    print("| pairs in the batch | chunks | peak MB | of the first | seconds |")
    print("|---|---|---|---|---|")
    first = 0.0
    for count in (64, 1024):
        with tempfile.TemporaryDirectory() as name:
            _pairs(count, Path(name), 160, SHORT, SHORT)
            found = _apart("memory", str(count), name)
            first = first or found["megabytes"]
            print(
                f"| {count} | {found['chunks']:.0f} | {found['megabytes']:.0f} "
                f"| {found['megabytes'] / first:.2f}× | {found['seconds']:.0f} |",
                flush=True,
            )


# Text against sentence-transformers


class _Theirs(nn.Module):
    """The padded network where sentence-transformers' loss expects its model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.plain = Padded(model, checkpointing=False)

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        length_B = features["attention_mask"].sum(1)
        given = {"input_ids_BL": features["input_ids"], "length_B": length_B, "patches_PK": None}
        rows = torch.arange(len(length_B))
        return {**features, "sentence_embedding": self.plain(given, rows)}


def _text_pairs(folder: Path) -> None:
    rng = random.Random(1)
    rows = [
        {
            "query": {"text": heavy_tailed(rng, 1.0, 0.5)},
            "candidate": {"text": heavy_tailed(rng, 2.3, 0.8)},
        }
        for _ in range(TEXT_PAIRS)
    ]
    (folder / "pairs.json").write_text(json.dumps(rows))


def _text_step(who: str, size: int, folder: Path) -> dict[str, float]:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
    )

    from unite.training.chunked import Hooks

    model = real_width(3, 1, PIXELS, 4)
    step, network = _setting(
        model, folder / "pairs.json", chunk_tokens=size if who == "ours" else None
    )
    hooks = Hooks(Tensor.backward, nullcontext, lambda features: features)
    if who == "ours":
        run: Callable[[int], Any] = lambda number: step.run(network, number, hooks)  # noqa: E731
    else:
        feed = step.feed
        del step, network, model  # each side holds one model
        theirs = SentenceTransformer(modules=[_Theirs(real_width(3, 1, PIXELS, 4))], device="cpu")
        theirs.train()
        loss = CachedMultipleNegativesRankingLoss(theirs, 1 / TAU, mini_batch_size=size)

        def run(number: int) -> Any:
            (loaded,) = feed.load(number, feed.chunks(number))
            features = loaded.features
            sides = []
            for side in (0, 1):
                rows = (features["side"] == side).nonzero()[:, 0]
                longest = int(features["length_B"][rows].max())
                mask = torch.arange(longest) < features["length_B"][rows, None]
                ids = features["input_ids_BL"][rows, :longest]
                sides.append({"input_ids": ids, "attention_mask": mask.long()})
            value = loss(sides, None)
            value.backward()
            return value

    run(0)  # the first step of a process is no measure
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    start = time.perf_counter()
    run(1)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": _kilobytes("VmHWM") / 1024}


def _kilobytes(name: str) -> int:
    """A figure of this process's memory, as Linux has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def text() -> None:
    """Text pairs with heavy-tailed lengths against the cached loss of sentence-transformers."""
    print("| step | chunk | seconds | examples/s | peak MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        _text_pairs(Path(name))
        for who, size in (("theirs", 4), ("ours", 400), ("ours", 800)):
            found = _apart("text_step", who, str(size), name)
            label = "CachedMultipleNegativesRankingLoss" if who == "theirs" else "ours"
            unit = "rows" if who == "theirs" else "tokens"
            print(
                f"| {label} | {size} {unit} | {found['seconds']:.1f} "
                f"| {TEXT_PAIRS / found['seconds']:.2f} | {found['megabytes']:.0f} |",
                flush=True,
            )


def _apart(what: str, *arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "one", what, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run a table, or one measurement of it."""
    match sys.argv[1:]:
        case ["one", "saving", name, folder]:
            found = _saving(name, Path(folder))
        case ["one", "memory", count, folder]:
            found = _memory(int(count), Path(folder))
        case ["one", "text_step", who, size, folder]:
            found = _text_step(who, int(size), Path(folder))
        case ["savings"] | ["memory"] | ["text"]:
            {"savings": savings, "memory": memory, "text": text}[sys.argv[1]]()
            return
        case _:
            sys.exit(__doc__)
    assert all(math.isfinite(value) for value in found.values())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
