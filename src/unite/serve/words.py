"""Bytes as one word for an address or a form: base64 without what addresses give a meaning to."""

from __future__ import annotations

import base64


def word_of(content: bytes) -> str:
    """The word."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def content_of(word: str) -> bytes:
    """The bytes again.

    Raises:
        ValueError: The word stands for none.
    """
    return base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
