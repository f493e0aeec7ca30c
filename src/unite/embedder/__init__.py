"""Many items to many vectors: in order, row for row, a bad item costing only itself.

The way of the data: items are read ahead, their media decoded by workers (`decode`); prepared items
are gathered into windows, sorted by length and cut into batches (`flow`); batches run through the
network beside all that (`encode`, `seats`); results come out in the order of the items.
"""

from unite.embedder.engine import Embedder, stack
from unite.embedder.figures import Figures

__all__ = ["Embedder", "Figures", "stack"]
