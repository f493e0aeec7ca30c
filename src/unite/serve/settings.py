"""What a server allows: sizes, queues, hosts, the token."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from unite.media.source import Limits

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")

_HOST = re.compile(r"\*|(\*\.)?[^\s*/:@\[\]]+|\[[0-9a-fA-F:.]+\]")

Whole = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """Everything that can be set of a server.

    Attributes:
        hosts: Names under which it may be called; `*.example.com` admits all beneath, `*` any. The
            check keeps a page that has bound its own name to this machine's address from reading
            the library.
        token: What clients must present; None: nothing.
        max_items: Items of one request.
        max_bytes: Of one request's body.
        max_bytes_in_flight: Of all bodies together that are being read or embedded.
        body_seconds: The longest that a client may take to send a body.
        max_pixels: Of a picture, or a frame of a clip.
        max_seconds: Of a clip.
        max_hits: How deep a search may be paged.
        wait_seconds: How long a request waits for others to be embedded with.
        batch: Most items that are embedded together.
        queue: Items that may wait; beyond it requests are turned away.
        thumbnail_workers: Processes that make thumbnails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[str, ...] = LOOPBACK
    token: SecretStr | None = None
    max_items: Whole = 128
    max_bytes: Whole = 64 << 20
    max_bytes_in_flight: Whole = 512 << 20
    body_seconds: Seconds = 60.0
    max_pixels: Whole = 50_000_000
    max_seconds: Seconds = 1800.0
    max_hits: Whole = 1000
    wait_seconds: Annotated[float, Field(ge=0)] = 0.004
    batch: Whole = 32
    queue: Whole = 512
    thumbnail_workers: Whole = 1

    @field_validator("hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if host not in LOOPBACK and not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no name of a host: no scheme, no port, no path")
        return hosts

    @model_validator(mode="after")
    def _room_for_one(self) -> Self:
        if self.queue < self.max_items:
            raise ValueError("queue must have room for the max_items of one request")
        return self

    @property
    def media(self) -> Limits:
        """What the decoder opens of a client's media."""
        return Limits(
            max_pixels=self.max_pixels, max_bytes=self.max_bytes, max_seconds=self.max_seconds
        )
