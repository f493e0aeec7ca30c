"""What a request says may be found, as the filter that the library's search takes."""

from __future__ import annotations

from unite.errors import DataError
from unite.serve.faults import RequestError
from unite.stores.protocol import Filter
from unite.types import Modality


def admitted(only: str | list[str] | None, where: str | None) -> Filter:
    """A filter of modality labels and a pattern for paths.

    Args:
        only: Labels, such as `image,text+image`.
        where: A pattern for the whole path, such as `*/2024/*.jpg`.

    Raises:
        RequestError: A label is none.
    """
    words = only.split(",") if isinstance(only, str) else only or []
    try:
        labels = frozenset(Modality.parse(word).label for word in words if word.strip())
    except DataError as error:
        raise RequestError(422, error.message, error.remedy, param="only") from error
    return Filter(labels or None, where or None)
