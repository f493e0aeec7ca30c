"""A byte-level BPE tokenizer in Qwen2's layout, for models trained from scratch.

Any Unicode text encodes: the 256 bytes are in the vocabulary. Control tokens follow the
merges, as in Qwen2, and their ids are read from the tokenizer, never assumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import pre_tokenizers as pre

from unite.errors import CheckpointError

END = "<|endoftext|>"
IMAGE_PAD = "<|image_pad|>"
VIDEO_PAD = "<|video_pad|>"
CONTROL = (
    END, "<|im_start|>", "<|im_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", IMAGE_PAD, VIDEO_PAD,
)  # fmt: skip
_AGAIN = "Download the model again."
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)  # Qwen2's own splitting rule


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn merges from texts.

    Args:
        texts: What the model will read, prompts included.
        vocabulary: Entries before the control tokens; at least the 256 bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.Sequence(
        [pre.Split(Regex(_WORDS), "isolated"), pre.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a control token.

    Raises:
        CheckpointError: The tokenizer does not have it.
    """
    number: int | None = tokenizer.token_to_id(token)
    if number is None:
        raise CheckpointError(f"The tokenizer lacks {token!r}; it is not Qwen2-VL's.")
    return number


def load_tokenizer(directory: Path) -> Tokenizer:
    """Read `tokenizer.json`.

    Raises:
        CheckpointError: It is missing, or lacks a control token.
    """
    path = directory / "tokenizer.json"
    if not path.exists():
        raise CheckpointError(
            f"{directory} has no tokenizer.json.", "Download the whole model directory."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is no tokenizer: {error}.", _AGAIN) from error
    for token in (END, IMAGE_PAD, VIDEO_PAD):
        token_id(tokenizer, token)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write `tokenizer.json` and the configuration with which transformers opens it."""
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": END,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
