"""Embed words, a picture, a clip and a fused item with the model that comes with the package.

Usage: python examples/embed_anything.py WORLD   (a folder made by `unite world WORLD`)
"""

import sys
from pathlib import Path

import unite

world = Path(sys.argv[1])
model = unite.load("mini")
items = [
    "a large red star in the middle",
    {"image": str(world / "images" / "train-000000.png")},
    {"video": str(world / "videos" / "train-000000.mp4")},
    {"text": "make it blue", "image": str(world / "images" / "train-000000.png")},
]
vectors = model.encode(items)
print(vectors.shape)
print(model.similarity(vectors, vectors))
