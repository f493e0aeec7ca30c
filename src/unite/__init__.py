"""UNITE: one embedder for text, images, video and any mix of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unite.embedder import Embedder
    from unite.model.transformer import load
    from unite.types import Clip, Embedding, Item, Modality, Pair

__version__ = "0.1.0"
__all__ = ["Clip", "Embedder", "Embedding", "Item", "Modality", "Pair", "load"]

_HOMES = {
    "Clip": "unite.types",
    "Embedder": "unite.embedder",
    "Embedding": "unite.types",
    "Item": "unite.types",
    "Modality": "unite.types",
    "Pair": "unite.types",
    "load": "unite.model.transformer",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import unite` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'unite' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
