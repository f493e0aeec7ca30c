"""What a search's further pages need to know, as one word that travels with the client.

Nothing about a search is kept between requests, so a page may be asked for after a restart, and of
another process. The word says nothing that its bearer could not ask for.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from unite.errors import DataError
from unite.library.search import Plan, Ranking
from unite.serve.faults import RequestError
from unite.serve.schemas import Form
from unite.serve.words import content_of, word_of
from unite.types import Modality

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Cursor(Form):
    """Where a search goes on.

    Attributes:
        vector: The query, base64 of little-endian float32.
        offset: Hits that were shown.
        ranking: On what ground the places are divided, and
        shares: how, by modality; the empty label alone is plain cosine.
        like: Id of the item that was asked with.
        only: Modalities that may be found.
        where: The filter.
        all_segments: Whether nothing is folded.
    """

    vector: str
    offset: int = Field(ge=1)
    ranking: Ranking
    shares: dict[str, Share] = Field(min_length=1, max_length=8)
    like: str | None
    only: list[str]
    where: str = Field(max_length=2000)
    all_segments: bool

    @field_validator("shares")
    @classmethod
    def _labels(cls, shares: dict[str, float]) -> dict[str, float]:
        """Shares by labels that there are."""
        if set(shares) != {""}:
            for label in shares:
                try:
                    Modality.parse(label)
                except DataError as error:
                    raise ValueError(error.message) from error
        return shares

    @property
    def plan(self) -> Plan:
        """How the page before was ranked."""
        return Plan(self.ranking, self.shares)

    def word(self) -> str:
        """The cursor as a client gets it."""
        return word_of(self.model_dump_json().encode())

    @classmethod
    def read(cls, word: str, most: int) -> Cursor:
        """The cursor again.

        Args:
            word: What a client sent.
            most: How deep a search may be paged.

        Raises:
            RequestError: The word is none, or goes on where no page begins.
        """
        try:
            cursor = cls.model_validate_json(content_of(word))
            if cursor.offset >= most:
                raise ValueError(cursor.offset)
            return cursor
        except ValueError as error:
            raise RequestError(
                400,
                "The cursor is none of this service's.",
                "Send the answer's cursor as it is, or ask anew.",
                param="cursor",
            ) from error
