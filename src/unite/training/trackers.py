"""Where a run's figures go besides its own file: trackers by the trainer's names for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unite.errors import RecipeError, did_you_mean


def tracker_faults(names: Iterable[str]) -> Iterator[RecipeError]:
    """What stands in the way of each tracker that cannot be used."""
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            yield RecipeError(
                f"There is no tracker {name!r}.", did_you_mean(name, INTEGRATION_TO_CALLBACK)
            )
        elif name not in get_available_reporting_integrations():
            yield RecipeError(
                f"The tracker {name!r} is not installed.", "Install it, or set run.trackers."
            )
