"""Embedding files at the real width of Qwen2-VL-2B, fewer layers, against two other ways.

`plain` is a loop over padded batches such as the released demo makes, through transformers' own
modules, its media decoded in line. `sentence-transformers` is that library's own encode over our
module. Both take 32 items at a time, that library's default. Same weights, same files; vectors are
compared. Each measurement runs in a process of its own.

Usage: python benchmarks/embed.py mixed [ITEMS] | text | query | memory [ITEMS ITEMS]
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from real_width import heavy_tailed, real_width

BATCH = 32  # of the plain loop
SIZES = ((320, 240), (640, 480), (1280, 960), (3000, 2000))
WAYS = ("plain", "sentence-transformers", "ours")
WORKERS = 2


# Files


def corpus(folder: Path, count: int, seconds: tuple[float, float], sizes: Any = SIZES) -> Path:
    """Of 20 items: 8 short texts, 3 long ones, 5 pictures, 4 clips; shuffled."""
    rng = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        match number % 20:
            case kind if kind < 8:
                row: dict[str, Any] = {"text": heavy_tailed(rng, 2.2, 0.5)}
            case kind if kind < 11:
                row = {"text": heavy_tailed(rng, 4.8, 0.8)}
            case kind if kind < 16:
                row = {"image": _picture(folder, number, sizes[number % len(sizes)])}
            case _:
                row = {"video": _clip(folder, number, rng.uniform(*seconds))}
        rows.append({"id": str(number), **row})
    rng.shuffle(rows)
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _values(number: int, width: int, height: int) -> Any:
    from PIL import Image

    noise = np.random.default_rng(number).integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height)))


def _picture(folder: Path, number: int, size: tuple[int, int]) -> str:
    from PIL import Image

    Image.fromarray(_values(number, *size)).save(folder / f"{number}.jpg", quality=90)
    return f"{number}.jpg"


def _clip(folder: Path, number: int, seconds: float) -> str:
    import av

    still = _values(number, 640, 360)
    with av.open(str(folder / f"{number}.mp4"), "w") as file:
        stream = file.add_stream("h264", rate=Fraction(24), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for shift in range(round(24 * seconds)):
            frame = np.roll(still, 2 * shift, 1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    return f"{number}.mp4"


# Ways


def _model() -> Any:
    """Two language layers, the last of which ours runs for one token only, and a vision layer."""
    from unite.media.pixels import PixelPolicy
    from unite.media.sampling import FramePolicy

    model = real_width(2, 1, {}, 12)
    policy = replace(model.policy, pixels=PixelPolicy(), frames=FramePolicy())
    return replace(model, policy=policy, encoder=model.encoder.eval())


class Padded:
    """transformers' Qwen2-VL over right-padded rows; of the model only its weights are kept."""

    def __init__(self, model: Any) -> None:
        from transformers import Qwen2VLConfig, Qwen2VLModel

        from unite.model.preprocess import Preprocessor

        self.preprocessor = Preprocessor(model.tokenizer, model.policy)
        self.config = model.encoder.config
        row = {key: value for key, value in self.config.to_json().items() if key != "model_type"}
        kind = Qwen2VLConfig(**row)
        self.net = Qwen2VLModel._from_config(kind, attn_implementation="sdpa").eval()
        self.net.visual.load_state_dict(model.encoder.visual.state_dict())
        self.net.language_model.load_state_dict(model.encoder.model.state_dict())

    def __call__(self, features: dict[str, Any]) -> torch.Tensor:
        """Unit vectors of a batch."""
        ids, length = features["input_ids_BL"], features["length_B"]
        mask = torch.arange(ids.shape[1]) < length[:, None]
        embeds = self.net.language_model.get_input_embeddings()(ids)
        if features["patches_PK"] is not None:
            seen = self.net.visual(features["patches_PK"], grid_thw=torch.tensor(features["grids"]))
            pads = torch.tensor([self.config.image_token_id, self.config.video_token_id])
            embeds = embeds.masked_scatter(torch.isin(ids, pads)[..., None], seen.pooler_output)
        out = self.net.language_model(
            inputs_embeds=embeds, attention_mask=mask.long(), use_cache=False,
            position_ids=torch.arange(ids.shape[1]).expand(len(ids), -1),
        )  # fmt: skip
        last = out.last_hidden_state[torch.arange(len(ids)), length - 1]
        return F.normalize(last, dim=-1)


def _plain(net: Padded, items: list[Any]) -> np.ndarray:
    found = []
    with torch.inference_mode():
        for start in range(0, len(items), BATCH):
            features = [net.preprocessor(item) for item in items[start : start + BATCH]]
            found.append(net(net.preprocessor.collate(features)))
    return torch.cat(found).numpy()


def _library(model: Any, items: list[Any]) -> np.ndarray:
    from unite.model.transformer import wrap

    return wrap(model).encode(items)


def _ours(model: Any, items: list[Any]) -> tuple[np.ndarray, dict[str, float]]:
    from unite.embedder import Embedder, Figures

    figures, start = Figures(), time.perf_counter()
    with Embedder(model, workers=WORKERS) as embedder:
        found = [part.vector for part in embedder.embed(items, figures)]
    wall = time.perf_counter() - start
    extra = {"efficiency": figures.efficiency, "hidden": figures.hidden(wall, WORKERS),
             "decode": figures.decode_seconds, "encode": figures.encode_seconds}  # fmt: skip
    return np.stack(found), extra


def _items(path: Path) -> list[Any]:
    from unite.data.items import read_items

    return [replace(item, id=None) for item in read_items(path)]


def _one(way: str, folder: Path) -> dict[str, float]:
    model, items = _model(), _items(folder / "items.jsonl")
    if way == "plain":
        model = Padded(model)
    start, extra = time.perf_counter(), {}
    if way == "ours":
        vectors, extra = _ours(model, items)
    else:
        vectors = (_plain if way == "plain" else _library)(model, items)
    seconds = time.perf_counter() - start
    np.save(folder / f"{way}.npy", vectors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(part.ru_utime + part.ru_stime for part in spent)
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "items": len(items), **extra}


def compare(make: Callable[[Path], object]) -> None:
    """A row for each way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        print("| way | seconds | items/s | ours is faster | CPU seconds | peak MB "
              "| largest difference |\n|---|---|---|---|---|---|---|")  # fmt: skip
        found = {way: _apart("one", way, name) for way in reversed(WAYS)}
        ours = found["ours"]
        expected = np.load(folder / "ours.npy")
        for way in WAYS:
            row, apart = found[way], np.abs(np.load(folder / f"{way}.npy") - expected).max()
            assert apart < 1e-4, apart
            print(
                f"| {way} | {row['seconds']:.1f} | {row['items'] / row['seconds']:.2f} "
                f"| {row['seconds'] / ours['seconds']:.2f}× | {row['cpu']:.0f} "
                f"| {row['peak']:.0f} | {apart:.0e} |"
            )
        print(f"\npadding efficiency {ours['efficiency']:.3f}; {ours['decode']:.0f} s of decoding, "
              f"{ours['encode']:.0f} s in the network; {ours['hidden']:.0%} of the decoding "
              "took no time of its own")  # fmt: skip


# One query, and memory


def query() -> None:
    """A warm query from text to vector against the bare forward pass, in turn."""
    from unite.embedder import Embedder
    from unite.types import Item

    print("| model | tokens | bare forward, ms | query, ms | query is slower |")
    print("|---|---|---|---|---|")
    for name in ("mini", "real width, 4 layers"):
        embedder = Embedder.open("mini") if name == "mini" else Embedder(real_width(4, 1, {}, 12))
        texts = [f"word{number} word2 word7 word30 word{number + 1} word9" for number in range(120)]
        bare, whole = [], []
        for text in texts:
            tensors = embedder.preprocessor.collate([embedder.preprocessor(Item(text=text))])
            bare.append(_timed(partial(_bare, embedder.model.encoder, tensors)))
            whole.append(_timed(partial(_whole, embedder, Item(text=text))))
        times = [1e3 * statistics.median(part[20:]) for part in (bare, whole)]
        tokens = int(tensors["length_B"][0])
        ratio = times[1] / times[0]
        print(f"| {name} | {tokens} | {times[0]:.2f} | {times[1]:.2f} | {ratio:.2f}× |")


def _bare(encoder: Any, tensors: dict[str, Any]) -> Any:
    with torch.inference_mode():
        return encoder(tensors["input_ids_BL"], tensors["length_B"])


def _whole(embedder: Any, item: Any) -> Any:
    return next(embedder.embed([item]))


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def memory(counts: list[int]) -> None:
    """Peak of the main process, workers aside, for few and for many items."""
    print("| items | peak MB | of the first | items/s |")
    print("|---|---|---|---|")
    first = None
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            corpus(Path(name), count, (1.0, 2.0), ((320, 240), (200, 300)))
            row = _apart("flat", name)
            first = first or row["peak"]
            print(f"| {count} | {row['peak']:.0f} | {row['peak'] / first:.2f}× "
                  f"| {count / row['seconds']:.1f} |", flush=True)  # fmt: skip


def _flat(folder: Path) -> dict[str, float]:
    """Items are read and vectors dropped as they come."""
    from unite.data.items import read_items
    from unite.embedder import Embedder

    model = real_width(1, 1, {"min_pixels": 4 * 784, "max_pixels": 64 * 784}, 4)
    model.encoder.eval()
    start = time.perf_counter()
    with Embedder(model, workers=WORKERS) as embedder:
        items: Iterator[Any] = read_items(folder / "items.jsonl")  # type: ignore[assignment]
        assert all(part.vector is not None for part in embedder.embed(items))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _texts(folder: Path) -> None:
    rng = random.Random(1)
    rows = [{"id": str(number), "text": heavy_tailed(rng, 3.0, 1.2)} for number in range(150)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _apart(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    match sys.argv[1:]:
        case ["one", way, folder]:
            print(json.dumps(_one(way, Path(folder))))
        case ["flat", folder]:
            print(json.dumps(_flat(Path(folder))))
        case ["mixed", *count]:
            compare(lambda folder: corpus(folder, int([*count, "300"][0]), (5.0, 60.0)))
        case ["text"]:
            compare(_texts)
        case ["query"]:
            query()
        case ["memory", *counts]:
            memory([int(count) for count in counts] or [300, 3000])
        case _:
            print(__doc__)


if __name__ == "__main__":
    main()
