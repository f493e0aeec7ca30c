"""What a request says may be found, as the filter that the library's search takes."""

from __future__ import annotations

from unite.errors import DataError, FilterError
from unite.serve.faults import RequestError
from unite.stores.filters import EVERYTHING, AnyOf, Filter, HasModality
from unite.stores.grammar import parse_filter
from unite.types import Modality


def admitted(only: str | list[str] | None, where: str | None) -> Filter:
    """A filter of modality labels and of the stores' own grammar.

    Args:
        only: Labels, such as `image,text+image`.
        where: Such as `path:*/2024/* longer:10s -tag:draft`.

    Raises:
        RequestError: A label is none, or the filter cannot be read.
    """
    words = only.split(",") if isinstance(only, str) else only or []
    try:
        labels = [Modality.parse(word).label for word in words if word.strip()]
    except DataError as error:
        raise RequestError(422, error.message, error.remedy, param="only") from error
    try:
        found = parse_filter(where or "")
    except FilterError as error:
        raise RequestError(422, error.message, error.remedy, param="where") from error
    return found & (AnyOf(tuple(map(HasModality, labels))) if labels else EVERYTHING)
