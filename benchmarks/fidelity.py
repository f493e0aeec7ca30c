"""What each wrong choice of a port would cost on the published cases.

Usage: python benchmarks/fidelity.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from unite.data.records import parse_item
from unite.embedder import Embedder
from unite.media import pixels
from unite.media.pixels import PixelPolicy
from unite.media.video import FramePolicy
from unite.model.checkpoint import Model, build_encoder, load_model

GOLDEN = Path(__file__).parent.parent / "tests" / "data" / "golden_a"
Change = Callable[[Model], tuple[Model, list[Any]]]


def _same_size(height: int, width: int, policy: PixelPolicy) -> tuple[int, int]:
    return height, width


def _bilinear(image: Image.Image, height: int, width: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _with_positions(model: Model, positions: str) -> Model:
    moved = build_encoder(model.encoder.config, "mrope")
    moved.load_state_dict(model.encoder.state_dict())
    moved.positions = positions  # type: ignore[assignment]
    return replace(model, encoder=moved.eval())


def _patched(**changes: Any) -> Change:
    return lambda model: (model, [patch.object(pixels, name, new) for name, new in changes.items()])


CHANGES: dict[str, Change] = {
    "none": lambda model: (model, []),
    "transformers' forward, plain positions": lambda model: (_with_positions(model, "1d"), []),
    "M-RoPE": lambda model: (_with_positions(model, "mrope"), []),
    "no first resize": _patched(first_size=_same_size, first_frame_size=_same_size),
    "second resize bilinear": _patched(_resample=_bilinear),
    "bf16": lambda model: (load_model(str(GOLDEN / "checkpoint"), dtype="bfloat16"), []),
}


@contextmanager
def _under(patches: list[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for change in patches:
            stack.enter_context(change)
        yield


def main() -> None:
    """Print the table."""
    published = load_model(str(GOLDEN / "checkpoint"), dtype="float32")
    cases = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
    kinds = {
        "text": lambda item: not item.images and not item.videos,
        "pictures": lambda item: item.images and not item.videos,
        "clips": lambda item: bool(item.videos),
    }
    print("| choice | " + " | ".join(kinds) + " | smallest cosine |\n|---|---|---|---|---|")
    for name, change in CHANGES.items():
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        cosines = []
        for case in cases:
            model, patches = change(published)
            video = case["settings"].get("video", {})
            keys = ("fps", "min_frames", "max_frames", "nframes")
            frames = FramePolicy(**{key: video[key] for key in keys if key in video})
            size = PixelPolicy(clip_max_pixels=video.get("max_pixels", 768 * 28 * 28))
            item = parse_item(case["item"], GOLDEN)
            policy = replace(model.policy, frames=frames, pixels=size)
            with _under(patches):
                (part,) = Embedder(replace(model, policy=policy)).embed([item])
            assert part.vector is not None, part.error
            wanted = np.array(case["embedding"])
            cosines.append(float(part.vector @ wanted))
            for kind, belongs in kinds.items():
                if belongs(item):
                    found[kind].append(float(np.abs(part.vector - wanted).max()))
        cells = [f"{min(row):.0e} .. {max(row):.0e}" for row in found.values()]
        print(f"| {name} | " + " | ".join(cells) + f" | {min(cosines):.4f} |")


if __name__ == "__main__":
    main()
