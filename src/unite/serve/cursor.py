"""What a search's further pages need to know, as one word that travels with the client.

Nothing about a search is kept between requests, so a page may be asked for after a restart, and of
another process. The word says nothing that its bearer could not ask for.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unite.errors import DataError
from unite.library.search import Plan
from unite.serve.faults import RequestError
from unite.types import Modality

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Cursor(BaseModel):
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

    model_config = ConfigDict(extra="forbid")

    vector: str
    offset: int = Field(ge=1)
    ranking: Literal["cosine", "per-modality", "intent", "router"]
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
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @classmethod
    def read(cls, word: str) -> Cursor:
        """The cursor again.

        Raises:
            RequestError: The word is none.
        """
        try:
            padded = word + "=" * (-len(word) % 4)
            return cls.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValidationError, ValueError) as error:
            raise RequestError(
                400,
                "The cursor is none of this service's.",
                "Send the answer's cursor as it is, or ask anew.",
                param="cursor",
            ) from error
