"""Every error a user can meet, each with its remedy.

UniteError
├── ItemError           one item cannot be embedded; its neighbours can
│   ├── MediaError      a picture or clip cannot be opened or decoded
│   ├── PromptError     text and media do not fit together
│   └── TooLongError    the item needs more tokens than the model takes
├── DataError           a data file as a whole cannot be read
├── CheckpointError     a model is incomplete, unknown or not ours
├── RecipeError         a training recipe is wrong
├── TrainingError       a training run cannot go on
├── FilterError         a filter of a search cannot be read
├── StudyError          a study cannot be run or its arms cannot be compared
└── LibraryError        a media library cannot be opened or does not fit the model
    └── StoreError      its vectors are damaged or cannot be reached
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UniteError(Exception):
    """A failure that a user can understand and mend.

    Args:
        message: What was given and what was expected.
        remedy: What to do about it, as a full sentence.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".rstrip())
        self.message = message
        self.remedy = remedy


class ItemError(UniteError):
    """One item cannot be embedded; the row it stands in carries this message."""


class MediaError(ItemError):
    """A picture or clip cannot be opened or decoded."""


class PromptError(ItemError):
    """The text of an item does not fit its media."""


class TooLongError(ItemError):
    """An item needs more tokens than the model takes."""


class DataError(UniteError):
    """A data file as a whole cannot be read."""


class CheckpointError(UniteError):
    """A model directory is incomplete, unknown or of another kind."""


class RecipeError(UniteError):
    """A training recipe does not hold."""


class TrainingError(UniteError):
    """A training run cannot go on: one of its processes died, or its numbers are not finite."""


class FilterError(UniteError):
    """A filter of a search cannot be read."""


class StudyError(UniteError):
    """A study cannot be run, or its arms cannot be compared."""


class LibraryError(UniteError):
    """A media library cannot be opened, or was made with another model."""


class StoreError(LibraryError):
    """The vectors of a library are damaged or cannot be reached."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name as a sentence, or list the known ones.

    Args:
        name: The name that was not found.
        known: The names that exist.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else ""
