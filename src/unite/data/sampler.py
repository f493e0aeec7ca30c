"""Which process and which chunk a pair of a global batch goes to, by what it costs.

The loss does not see the order of a batch, so pairs may lie where they cost least: processes get
equal work, and chunks hold pairs of similar length under a budget. Nothing here changes what is
learned.

Shapes: N pairs of a global batch, A of one process.
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

Costs = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]


def share_out(cost_N: Costs, processes: int) -> list[Places]:
    """Deal pairs out to processes: the dearest first, each to the process with the least to do.

    Args:
        cost_N: Tokens of each pair, at least 1.
        processes: At most N.

    Returns:
        Places of each process's pairs, ascending; every process has at least one. Numbers of pairs
        may differ; the loss weighs them rightly.
    """
    loads = [(0, rank) for rank in range(processes)]
    shares: list[list[int]] = [[] for _ in range(processes)]
    for place in np.argsort(-cost_N, kind="stable").tolist():
        load, rank = heapq.heappop(loads)
        shares[rank].append(place)
        heapq.heappush(loads, (load + int(cost_N[place]), rank))
    return [np.array(sorted(share), dtype=np.int64) for share in shares]


def chunk(cost_A: Costs, budget: int | None) -> list[Places]:
    """Cut a process's pairs into chunks, the dearest first, each within a budget of tokens.

    Args:
        cost_A: Tokens of each pair.
        budget: Tokens of a chunk; a pair above it is a chunk of its own. None: one chunk.

    Returns:
        Places of each chunk's pairs.
    """
    if budget is None:
        return [np.arange(len(cost_A))]
    chunks: list[list[int]] = []
    room = 0
    for place in np.argsort(-cost_A, kind="stable").tolist():
        if not chunks or cost_A[place] > room:
            chunks.append([])
            room = budget
        chunks[-1].append(place)
        room -= int(cost_A[place])
    return [np.array(part, dtype=np.int64) for part in chunks]
