"""What a request says may be found, as the filter that the library's search takes."""

from __future__ import annotations

from unite.errors import DataError, FilterError
from unite.serve.faults import RequestError
from unite.stores.filters import Filter, of_modalities
from unite.stores.grammar import parse_filter


def admitted(only: list[str], where: str) -> Filter:
    """A filter of modality labels and of the stores' own grammar.

    Args:
        only: Labels; one text may hold several, such as `image,text+image`.
        where: Such as `path:*/2024/* longer:10s -tag:draft`.

    Raises:
        RequestError: A label is none, or the filter cannot be read.
    """
    try:
        labels = of_modalities(",".join(only))
    except DataError as error:
        raise RequestError(422, error.message, error.remedy, param="only") from error
    try:
        found = parse_filter(where)
    except FilterError as error:
        raise RequestError(422, error.message, error.remedy, param="where") from error
    return found & labels
