from __future__ import annotations

import pickle

import pytest

from unite import errors
from unite.errors import DataError, ItemError, TooLongError, UniteError, did_you_mean


def tree(kind: type[UniteError]) -> list[type[UniteError]]:
    """A part may have kinds of its own that never leave it, as the server's for requests."""
    children = [child for child in kind.__subclasses__() if child.__module__ == "unite.errors"]
    return [kind, *(below for child in children for below in tree(child))]


def test_every_error_stands_in_the_tree_at_the_top_of_the_file() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if "Error" in line]
    drawn = [line.lstrip("│├└─ ").split()[0] for line in lines if not line.startswith("Every")]
    assert sorted(drawn) == sorted(kind.__name__ for kind in tree(UniteError))


def test_what_fails_for_one_item_can_be_told_from_what_fails_for_all() -> None:
    assert {kind.__name__ for kind in tree(ItemError)} == {
        "ItemError", "MediaError", "PromptError", "TooLongError",
    }  # fmt: skip
    assert not issubclass(DataError, ItemError)


def test_the_message_ends_with_the_remedy() -> None:
    error = UniteError("It is broken.", "Mend it.")
    assert (str(error), error.message, error.remedy) == (
        "It is broken. Mend it.",
        "It is broken.",
        "Mend it.",
    )
    assert str(UniteError("It is broken.")) == "It is broken."


@pytest.mark.parametrize("kind", tree(UniteError))
def test_errors_cross_processes_whole(kind: type[UniteError]) -> None:
    there = pickle.loads(pickle.dumps(kind("Given this.", "Do that.")))
    assert type(there) is kind
    assert (str(there), there.message, there.remedy) == (
        "Given this. Do that.",
        "Given this.",
        "Do that.",
    )


def test_suggestions() -> None:
    assert did_you_mean("imge", ["text", "image", "video"]) == "Did you mean 'image'?"
    assert did_you_mean("zzz", ["b", "a"]) == "Known: a, b."
    assert did_you_mean("zzz", []) == ""
    assert issubclass(TooLongError, UniteError)
