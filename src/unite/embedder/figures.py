"""What embedding took: items, tokens and seconds, added up as work is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Figures:
    """Sums over a run; times of what runs side by side are added up.

    Attributes:
        items: Results given.
        repeated: Items that were embedded once already, and so not again.
        failed: Items without a vector.
        media: Pictures and clips decoded.
        tokens: Of the items that ran through the network.
        padded: The same with what attention pads them to.
        batches: Runs through the network.
        decode_seconds: Spent decoding and resizing, by all workers together.
        encode_seconds: Spent in the network, by all devices together.
    """

    items: int = 0
    repeated: int = 0
    failed: int = 0
    media: int = 0
    tokens: int = 0
    padded: int = 0
    batches: int = 0
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0

    @property
    def efficiency(self) -> float:
        """Share of the tokens that are no padding."""
        return self.tokens / self.padded if self.padded else 1.0

    def hidden(self, wall_seconds: float, workers: int) -> float:
        """Share of the decoding that took no time of its own, as the network ran meanwhile.

        Args:
            wall_seconds: From start to end.
            workers: How many decode side by side.
        """
        alone = self.decode_seconds / max(workers, 1)
        seen = max(wall_seconds - self.encode_seconds, 0.0)
        return min(max(1 - seen / alone, 0.0), 1.0) if alone else 1.0
