"""How fast a model embeds given items on this machine, kind by kind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unite.embedder.engine import Embedder
from unite.embedder.figures import Figures
from unite.types import Item

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of items.

    Attributes:
        kind: Their modality, or `all`.
        figures: What was done.
        seconds: From the first item to the last result.
        hidden: Share of the decoding that took no time of its own.
        peak: Bytes that this process held at most, its workers aside; None where the system does
            not tell.
    """

    kind: str
    figures: Figures
    seconds: float
    hidden: float
    peak: int | None

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.figures.items / self.seconds

    @property
    def token_rate(self) -> float:
        """Tokens a second."""
        return self.figures.tokens / self.seconds


def bench(embedder: Embedder, items: Sequence[Item]) -> Iterator[Measured]:
    """Embed the items of each modality, then all together.

    Processes start and weights are touched before: the first item of each kind is embedded once
    and not counted.

    Args:
        embedder: With its workers.
        items: What users have.
    """
    kinds: dict[str, list[Item]] = {}
    for item in items:
        kinds.setdefault(item.modality.label, []).append(item)
    list(embedder.embed([part[0] for part in kinds.values()]))
    for kind, part in sorted(kinds.items()):
        yield _measure(embedder, kind, part)
    if len(kinds) > 1:
        yield _measure(embedder, "all", items)


def device_name() -> str:
    """What the network runs on."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} CPU threads"


def _measure(embedder: Embedder, kind: str, items: Sequence[Item]) -> Measured:
    _forget_peak()
    figures, start = Figures(), time.perf_counter()
    for _ in embedder.embed(items, figures):
        pass
    seconds = time.perf_counter() - start
    hidden = figures.hidden(seconds, embedder.side_by_side)
    return Measured(kind, figures, seconds, hidden, _peak())


def _forget_peak() -> None:
    """Have Linux count the largest memory anew; other systems do not."""
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def _peak() -> int | None:
    if not _CLEAR.exists():
        return None
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    line = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) << 10
