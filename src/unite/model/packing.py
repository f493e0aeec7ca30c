"""Rows of tokens without padding: one after another, what all begin with only once.

Everything but attention works on single tokens and never sees where a row ends. Attention takes the
rows in groups of similar length; only there are short ones padded, where a token is cheapest.

Shapes: B rows, L tokens of the longest, S shared leading tokens, T packed tokens (the shared ones
that no cache holds, then each row's own), G rows and R tokens of a group, H heads, F width of a
head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WASTE = 0.3
"""Largest share of padding in a group: attention is a tenth of a layer's work."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of similar length, neighbours among the packed tokens.

    Attributes:
        span: Their own tokens.
        count: Rows.
        longest: Own tokens of the longest.
        own_G: Own tokens of each.
        place_P: Where each token stands among G × R padded ones; None where none is padded.
        seen_RL: Which tokens of a whole row each own one may look at; None: all up to itself,
            where a row has no others.
    """

    span: slice
    count: int
    longest: int
    own_G: Tensor
    place_P: Tensor | None
    seen_RL: Tensor | None

    def padded(self, states_THF: Tensor) -> Tensor:
        """The group's rows of some states, (G, H, R, F)."""
        states_PHF = states_THF[self.span]
        if self.place_P is not None:
            table = states_PHF.new_zeros(self.count * self.longest, *states_PHF.shape[1:])
            states_PHF = table.index_copy(0, self.place_P, states_PHF)
        return states_PHF.unflatten(0, (self.count, self.longest)).transpose(1, 2)

    def packed(self, states_GHRF: Tensor) -> Tensor:
        """The rows' tokens one after another, (P, H, F)."""
        states = states_GHRF.transpose(1, 2).flatten(0, 1)
        return states if self.place_P is None else states.index_select(0, self.place_P)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the tokens of right-padded rows lie when they are packed.

    Attributes:
        shared: Leading tokens that all rows have in common; they come first, once.
        cached: Those of them, the first, that are not among the packed tokens.
        source_T: Where each packed token stands among the B × L padded ones.
        position_T: Its position in its row.
        last_B: Where each row's last token lies, in the order of the groups.
        order_B: Where each row of the input is in that order.
        groups: Of the rows.
    """

    shared: int
    cached: int
    source_T: Tensor
    position_T: Tensor
    last_B: Tensor
    order_B: Tensor
    groups: tuple[Group, ...]

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        width: int,
        shared: int,
        device: torch.device,
        cached: int = 0,
    ) -> Packing:
        """Pack rows.

        Args:
            lengths: Tokens in each.
            width: Tokens of a padded row.
            shared: Leading tokens that all have in common.
            device: Where the tokens are.
            cached: Leading tokens whose keys and values are known from before.
        """
        if len(lengths) == 1:
            return cls._of_one(lengths[0], device, cached)
        shared = max(shared, cached)
        line = torch.arange(cached, shared)
        sources, positions, groups, order = [line], [line], [], []
        start = shared - cached
        for rows in length_groups(lengths):
            own = [lengths[row] - shared for row in rows]
            longest, total = own[0], sum(own)
            table = torch.arange(longest)
            inside_GR = table < torch.tensor(own)[:, None]
            place_P = inside_GR.flatten().nonzero()[:, 0]
            row_P = torch.tensor(rows).repeat_interleave(torch.tensor(own))
            position_P = place_P % longest + shared
            sources.append(row_P * width + position_P)
            positions.append(position_P)
            padded = total < longest * len(rows)
            groups.append(
                Group(
                    slice(start, start + total),
                    len(rows),
                    longest,
                    torch.tensor(own, device=device),
                    place_P.to(device) if padded else None,
                    causal(longest, shared + longest, device),
                )
            )
            order += rows
            start += total
        ends = torch.tensor([lengths[row] - shared for row in order]).cumsum(0) + line.numel() - 1
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return cls(
            shared,
            cached,
            torch.cat(sources).to(device),
            torch.cat(positions).to(device),
            ends.to(device),
            back.to(device),
            tuple(groups),
        )

    @classmethod
    def _of_one(cls, length: int, device: torch.device, cached: int) -> Packing:
        """A row that shares with nobody: made for every query, so without detours."""
        own = length - cached
        line = torch.arange(cached, length, device=device)
        none = torch.zeros(1, dtype=torch.long, device=device)
        seen_RL = causal(own, length, device)
        group = Group(slice(0, own), 1, own, none + own, None, seen_RL)
        return cls(cached, cached, line, line, none + own - 1, none, (group,))


def shared_prefix(input_ids_BL: Tensor, length_B: Tensor, visual_BL: Tensor) -> int:
    """Number of leading tokens that all rows have in common; at least one token stays a row's own.

    The system turn of the prompt is the same in every item: a third of a short text. A visual
    token is never shared: its id is the same for every picture, what it stands for is not.
    """
    limit = int(length_B.min()) - 1
    differs_L = (input_ids_BL[:, :limit] != input_ids_BL[:1, :limit]).any(0) | visual_BL[0, :limit]
    return int(differs_L.int().argmax()) if bool(differs_L.any()) else limit


def length_groups(lengths: Sequence[int], waste: float = WASTE) -> Iterator[list[int]]:
    """Split rows into groups that pad little.

    Args:
        lengths: Tokens in each row.
        waste: Largest share of padding in a group.

    Yields:
        Row numbers of one group, longest first.
    """
    group: list[int] = []
    filled = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        padded = (len(group) + 1) * lengths[group[0] if group else row]
        if group and filled + lengths[row] < (1 - waste) * padded:
            yield group
            group, filled = [], 0
        group.append(row)
        filled += lengths[row]
    if group:
        yield group


def causal(own: int, whole: int, device: torch.device) -> Tensor | None:
    """What the last `own` of `whole` tokens may look at; None where they are all."""
    if own == whole:
        return None
    return torch.ones(own, whole, dtype=torch.bool, device=device).tril_(whole - own)


def padded_tokens(lengths: Sequence[int]) -> int:
    """Tokens that attention computes for rows of these lengths, padding included."""
    return sum(len(group) * lengths[group[0]] for group in length_groups(lengths))
