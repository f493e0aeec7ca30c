"""Ranked lists of several modalities become one, each modality with its share of the places.

A list's nth hit stands where n divided by the list's share says. Equal shares interleave the lists:
the best of each, then the second of each; a share of 0.75 against 0.25 gives three places in four.
Ranks alone count, so that cosines are compared within a modality only, except for ties. How deep
the lists reach changes nothing about the places before their ends: pages neither repeat nor skip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unite.stores.protocol import Found
from unite.types import Modality

LEAST = 1e-3
"""Smallest share: what is thought to be unwanted stands last and is found all the same."""

EXACT = 2.0
"""How much more a modality counts than one that holds it, such as image and text+image, where
words name it. From the second place on, a captioned picture ties with a bare one."""


def fuse(lists: Mapping[str, Sequence[Found]], shares: Mapping[str, float]) -> list[Found]:
    """Merge ranked lists that share no record. Ties stand in the order of cosines, then of ids.

    Args:
        lists: One list per modality label, best first.
        shares: Positive weight of each label; on any scale.
    """
    whole = sum(shares[label] for label in lists)
    places = [
        (rank * whole / max(shares[label], LEAST * whole), found)
        for label, hits in lists.items()
        for rank, found in enumerate(hits, 1)
    ]
    places.sort(key=lambda pair: (pair[0], -pair[1].score, pair[1].record.id))
    return [found for _, found in places]


def even(labels: Sequence[str]) -> dict[str, float]:
    """The same share for each label."""
    return {label: 1.0 / len(labels) for label in labels}


def blended(shares: Mapping[str, float], trusted: float) -> dict[str, float]:
    """Shares of which only a part is trusted; the rest is even. They sum to one."""
    whole = sum(shares.values())
    return {
        label: trusted * share / whole + (1.0 - trusted) / len(shares)
        for label, share in shares.items()
    }


def favouring(wanted: Modality, labels: Sequence[str], share: float) -> dict[str, float] | None:
    """Shares that give most places to one modality; None where no label holds it.

    Args:
        wanted: The modality.
        labels: Labels that can be found.
        share: What goes to the labels that hold it; the others divide the rest evenly.
    """
    parsed = {label: Modality.parse(label) for label in labels}
    pulls = {
        label: EXACT if bits == wanted else 1.0 for label, bits in parsed.items() if wanted in bits
    }
    if not pulls:
        return None
    rest = len(labels) - len(pulls)
    whole = sum(pulls.values())
    return {
        label: share * pulls[label] / whole if label in pulls else (1.0 - share) / rest
        for label in labels
    }
