"""What clients send and get: the forms of requests and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, Tag

MOST_LETTERS = 200_000
"""Of one text: more than any model here takes."""

Text = Annotated[str, Field(max_length=MOST_LETTERS)]
Medium = Annotated[
    str, Field(description="`data:image/png;base64,…`, or in a form `attachment:NAME` of a file.")
]


class Form(BaseModel):
    """What clients send: an unknown key is refused, as it is a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class ItemForm(Form):
    """One item: text, pictures, clips, or several together, and what the embedding is for."""

    text: Text | None = None
    image: Medium | list[Medium] | None = None
    video: Medium | list[Medium] | None = None
    instruction: Text | None = None


def _tag(value: Any) -> str | None:
    # A tag that begins with "=" is left out of what clients are told (`faults.unfit`).
    if isinstance(value, str):
        return "=text"
    return "=item" if isinstance(value, dict | ItemForm) else None


def _tag_of_any(value: Any) -> str | None:
    return "=list" if isinstance(value, list) else _tag(value)


def _by(tag: Callable[[Any], str | None]) -> Discriminator:
    return Discriminator(
        tag,
        custom_error_type="input_kind",
        custom_error_message="an input is a text or an item; token numbers are not taken",
    )


Single = Annotated[Text, Tag("=text")] | Annotated[ItemForm, Tag("=item")]
Input = Annotated[
    Single | Annotated[list[Annotated[Single, _by(_tag)]], Tag("=list")], _by(_tag_of_any)
]


class EmbeddingsForm(Form):
    """A request for embeddings; with texts only it is OpenAI's."""

    input: Input
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: StrictInt | None = Field(
        None, ge=1, description="Keep only so many leading numbers."
    )
    user: str | None = Field(None, description="Taken and not used.")

    @property
    def items(self) -> list[str | ItemForm]:
        """What to embed, one after the other."""
        return self.input if isinstance(self.input, list) else [self.input]

    @property
    def strict(self) -> bool:
        """Whether it is OpenAI's form, where a bad input fails the request."""
        return all(isinstance(item, str) for item in self.items)


class ItemFailure(BaseModel):
    """Why one item of several has no vector."""

    message: str


class EmbeddingOut(BaseModel):
    """One vector; in a batch of items, null with the reason where it failed."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None
    error: ItemFailure | None = None
    note: str | None = None


class Usage(BaseModel):
    """Tokens that the network read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """Vectors in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: Usage


class SearchForm(ItemForm):
    """A search: by a query, by an item of the library, by a vector, or where another goes on."""

    like: str | None = Field(None, description="Id of an item: what resembles it.")
    embedding: str | list[float] | None = Field(
        None, description="A vector, as numbers or as base64 of little-endian float32."
    )
    cursor: str | None = Field(
        None, max_length=1_000_000, description="Of an answer: its next page. Alone, or with `k`."
    )
    k: int = Field(24, ge=1, le=200)
    only: str | list[str] | None = Field(None, description="Modalities, such as `image,video`.")
    where: str | None = Field(None, max_length=2000, description="What may be found.")
    all_segments: bool = Field(False, description="Every part of a file and every copy.")
    raw: bool = Field(False, description="Rank by cosine alone, across modalities.")


class Known(BaseModel):
    """What the library knows of an item; `id` is what `/v1/items/{id}` takes."""

    id: str
    path: str
    name: str
    kind: Literal["image", "video", "text", "other"]
    modality: str
    start: float | None
    end: float | None
    duration: float | None
    width: int | None
    height: int | None
    tags: list[str]
    text: str
    thumbnail: str | None
    media: str | None


class HitOut(Known):
    """One answer of a search: the best part of a file.

    `segments` counts further parts of it that were found, `copies` are the paths of equal files.
    """

    score: float
    segments: int
    copies: list[str]


class SearchOut(BaseModel):
    """Hits, best first; `ranking` and `how` say how they are ordered, `shares` which were found."""

    ranking: str
    how: str
    shares: dict[str, float]
    hits: list[HitOut]
    cursor: str | None


class ItemOut(Known):
    """An item of the library, asked for by itself."""

    size: int
    modified: float


class IndexingOut(BaseModel):
    """How far a run of `unite index` is, in files."""

    done: int
    total: int
    failed: int


class LibraryOut(BaseModel):
    """What a library holds."""

    name: str
    model: str
    model_id: str
    dim: int
    count: int
    modalities: dict[str, int]
    indexing: IndexingOut | None


class ModelOut(BaseModel):
    """The model that is served."""

    id: str
    object: Literal["model"] = "model"
    owned_by: str = "unite"
    created: int = 0


class ModelsOut(BaseModel):
    """The models that are served: one."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class Failure(BaseModel):
    """What went wrong, in OpenAI's shape."""

    message: str
    type: str
    param: str | None
    code: str | None


class FailureOut(BaseModel):
    """The answer to a request that fails."""

    error: Failure
