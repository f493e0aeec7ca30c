"""An item becomes the one text the model reads, with slots where its media go.

The prompt is E5-V's: the model is asked to sum the item up in one word, and the
hidden state of the token after that question is the embedding (paper section 3.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from unite.errors import PromptError
from unite.types import Item, Modality

IMAGE_PLACEHOLDER = "<|IMAGE|>"
VIDEO_PLACEHOLDER = "<|VIDEO|>"
SYSTEM = "You are a helpful assistant."

_WORDS = {Modality.TEXT: "sentence", Modality.IMAGE: "image", Modality.VIDEO: "video"}
_TAGS = {
    Modality.IMAGE: "<|vision_start|><|image_pad|><|vision_end|>",
    Modality.VIDEO: "<|vision_start|><|video_pad|><|vision_end|>",
}
_PLACEHOLDERS = {Modality.IMAGE: IMAGE_PLACEHOLDER, Modality.VIDEO: VIDEO_PLACEHOLDER}
_RESERVED = re.compile(
    r"<\|(?:im_start|im_end|endoftext|vision_start|vision_end|vision_pad|image_pad|video_pad"
    r"|object_ref_start|object_ref_end|box_start|box_end|quad_start|quad_end)\|>"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text of an item.

    Attributes:
        text: The whole prompt; each medium is one pad token between its vision tags.
        slots: The modality of each pad token, in order of appearance.
    """

    text: str
    slots: tuple[Modality, ...]


def render(item: Item) -> Prompt:
    """Write the prompt of an item.

    Args:
        item: What to embed.

    Raises:
        PromptError: Placeholders and media differ in number, or the text holds one of
            the tokenizer's reserved tokens.
    """
    body = _body(item)
    words = [_WORDS[part] for part in item.order]
    if item.instruction and item.instruction.strip() and item.text is None:
        words.insert(0, _WORDS[Modality.TEXT])
    text = (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
        f"<|im_start|>user\n{body}\nSummary above {' and '.join(words)} in one word:<|im_end|>\n"
        "<|im_start|>assistant\n<|endoftext|>"
    )
    return Prompt(text, _slots(body))


def _body(item: Item) -> str:
    """The user's turn without the question: media tags, instruction and text, stripped."""
    words = [part.strip() for part in (item.instruction, item.text) if part is not None]
    text = "\n".join(word for word in words if word)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"The text is not valid Unicode: {error.reason} at character {error.start}.",
            "It holds half of a surrogate pair; write the whole character.",
        ) from error
    if reserved := _RESERVED.search(text):
        raise PromptError(
            f"The text holds {reserved.group()!r}, which is a control token of the model.",
            "Remove it or spell it in another way.",
        )
    placed = {part: _placed(item, part, text) for part in _TAGS}
    unplaced = [part for part in item.order if not placed.get(part, True)]
    for part, placeholder in _PLACEHOLDERS.items():
        text = text.replace(placeholder, _TAGS[part])
    lead = "".join(f"{_TAGS[part]}\n" * len(_media(item, part)) for part in unplaced)
    return (lead + text).strip()


def _media(item: Item, part: Modality) -> tuple[object, ...]:
    return item.images if part is Modality.IMAGE else item.videos


def _placed(item: Item, part: Modality, text: str) -> bool:
    """Whether the text says where the media of this kind go; checks that it says so for all."""
    placeholder = _PLACEHOLDERS[part]
    found, given = text.count(placeholder), len(_media(item, part))
    if found and found != given:
        raise PromptError(
            f"The text has {found} {placeholder} but the item has {given} {part.label}(s).",
            "Give one placeholder for each, or none: then the media stand before the text.",
        )
    return bool(found)


def _slots(body: str) -> tuple[Modality, ...]:
    found = re.findall(r"<\|(image|video)_pad\|>", body)
    return tuple(Modality.parse(word) for word in found)
