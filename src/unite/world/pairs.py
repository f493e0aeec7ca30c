"""Training pairs in the released UNITE format, one list for each source.

Content ids are chosen per source so that candidate j is a false negative of query i if and only if
their candidate ids are equal. Coarse sources therefore carry the coarse meaning on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from unite.world.captions import (
    INSTRUCTIONS,
    coarse,
    edit_text,
    fine,
    page_question,
    part_text,
    question,
    reworded,
    story_edit_text,
)
from unite.world.families import ClipFamily, ImageFamily, Medium
from unite.world.sampling import Rng, pick, rng_for

Row = dict[str, Any]
STAGE_1 = ("tt", "ti_coarse", "ti_fine", "tv_coarse", "tv_fine")
STAGE_2 = ("i2i", "t2i", "i2t", "t2v", "v2t", "t2ti", "it2t", "it2i_edit", "it2i_crop", "vt2v")
QUESTIONS_AN_IMAGE = 2


def side(
    medium: Medium | None = None, text: str | None = None, instruction: str = "", up: str = "../"
) -> Row:
    """One side of a pair, keys in the order text, image or video, instruction.

    Args:
        medium: The picture or clip.
        text: The words.
        instruction: What the embedding is for.
        up: The way from the folder of the JSON file to the world's own.
    """
    row: Row = {} if text is None else {"text": text}
    if medium is not None:
        kind = "video" if medium.path.endswith(".mp4") else "image"
        row[kind] = f"{up}{medium.path}"
    if instruction:
        row["instruction"] = instruction
    return row


def pair(
    query: Row, candidate: Row, query_id: str, candidate_id: str, shown: Medium | None = None
) -> Row:
    """One training example without a hard negative.

    Args:
        query: The asking side.
        candidate: The answering side.
        query_id: Meaning of the query.
        candidate_id: Meaning of the candidate.
        shown: The picture or clip that the candidate is; it has a coarse and a fine meaning.
    """
    modality = ",".join(key for key in ("text", "image", "video") if key in candidate)
    return {
        "query": query,
        "candidate": candidate,
        "target_modal": modality,
        "query_id": query_id,
        "candidate_id": candidate_id,
        **({} if shown is None else {"candidate_also_id": also(shown, candidate_id)}),
    }


def also(medium: Medium, meaning: str) -> str:
    """The other meaning that a medium has: the fine one beside the coarse, and the reverse."""
    return medium.content_id if meaning == medium.coarse_id else medium.coarse_id


def against(row: Row, negative: Medium) -> Row:
    """The pair with the query's own medium as its hard negative."""
    return {
        "query": row["query"],
        "candidate": row["candidate"],
        "negative": side(negative),
        **{key: value for key, value in row.items() if key not in ("query", "candidate")},
        "negative_id": negative.content_id,
        "negative_also_id": negative.coarse_id,
    }


class PairWriter:
    """Writes the training pairs of a world, each source from a generator of its own.

    Args:
        images: The families of training pictures.
        clips: The families of training clips.
        seed: The world's seed.
    """

    def __init__(self, images: list[ImageFamily], clips: list[ClipFamily], seed: int) -> None:
        self.image_families, self.clip_families, self.seed = images, clips, seed
        self.images = [image for family in images for image in family.images]
        self.clips = [clip for family in clips for clip in family.clips]

    def rows(self, source: str) -> list[Row]:
        """All pairs of one source of ``STAGE_1`` or ``STAGE_2``."""
        makers: dict[str, Callable[[Rng], Iterator[Row]]] = {
            "tt": self._tt,
            "ti_coarse": lambda rng: _captioned(self.images, rng, is_coarse=True),
            "ti_fine": lambda rng: _captioned(self.images, rng),
            "tv_coarse": lambda rng: _captioned(self.clips, rng, is_coarse=True),
            "tv_fine": lambda rng: _captioned(self.clips, rng),
            "i2i": self._i2i,
            "t2i": lambda rng: _captioned(self.images, rng, "t2i"),
            "i2t": lambda rng: _captions_of(self.images, rng, "i2t"),
            "t2v": lambda rng: _captioned(self.clips, rng, "t2v"),
            "v2t": lambda rng: _captions_of(self.clips, rng, "v2t"),
            "t2ti": self._t2ti,
            "it2t": self._it2t,
            "it2i_edit": self._it2i_edit,
            "it2i_crop": self._it2i_crop,
            "vt2v": self._vt2v,
        }
        return list(makers[source](rng_for(self.seed, f"pairs {source}")))

    def _tt(self, rng: Rng) -> Iterator[Row]:
        for medium in (*self.images, *self.clips):
            first, second = two_wordings(medium, rng)
            meaning = medium.content_id
            yield pair(side(text=first), side(text=second), meaning, meaning)

    def _i2i(self, rng: Rng) -> Iterator[Row]:
        for family in self.image_families:
            for one, other in family.twins:
                query = side(one, instruction=instruct("i2i", rng))
                yield pair(query, side(other), one.content_id, other.content_id, other)

    def _t2ti(self, rng: Rng) -> Iterator[Row]:
        for image in self.images:
            asked = page_question(image.scene, rng)
            query = side(text=asked, instruction=instruct("t2ti", rng))
            page = side(image, coarse(image.scene, rng))
            yield pair(query, page, image.content_id, image.content_id)

    def _it2t(self, rng: Rng) -> Iterator[Row]:
        for image in self.images * QUESTIONS_AN_IMAGE:
            asked = question(image.scene, pick(rng, image.scene.things), rng)
            query = side(image, asked.text, instruct("it2t", rng))
            query_id = f"{image.content_id} ? {asked.thing.id}"
            yield pair(query, side(text=asked.answer), query_id, asked.thing.id)

    def _it2i_edit(self, rng: Rng) -> Iterator[Row]:
        for family in self.image_families:
            for change in family.changes:
                text = edit_text(change.edit, rng)
                query = side(change.before, text, instruct("it2i_edit", rng))
                yield _composed(query, change.before, change.after)

    def _it2i_crop(self, rng: Rng) -> Iterator[Row]:
        for family in self.image_families:
            for image, crop in family.crops:
                assert crop.crop is not None, "a cut-out shows a thing"
                text = part_text(image.scene, crop.crop, rng)
                yield _composed(side(image, text, instruct("it2i_crop", rng)), image, crop)

    def _vt2v(self, rng: Rng) -> Iterator[Row]:
        for family in self.clip_families:
            for i, after in enumerate(family.clips):
                before = family.clips[i - 1]
                if before is not after:
                    text = story_edit_text(before.scene, after.scene, rng)
                    query = side(before, text, instruct("vt2v", rng))
                    yield _composed(query, before, after)


def instruct(task: str, rng: Rng) -> str:
    """One wording of a task's instruction."""
    return pick(rng, INSTRUCTIONS[task])


def two_wordings(medium: Medium, rng: Rng) -> tuple[str, str]:
    """Two different fine captions of one meaning."""
    first = fine(medium.scene, rng)
    return first, reworded(lambda draw: fine(medium.scene, draw), rng, first)


def _captioned(
    media: list[Medium], rng: Rng, task: str = "", *, is_coarse: bool = False
) -> Iterator[Row]:
    for medium in media:
        text = (coarse if is_coarse else fine)(medium.scene, rng)
        meaning = medium.scene.coarse_id if is_coarse else medium.content_id
        query = side(text=text, instruction=instruct(task, rng) if task else "")
        yield pair(query, side(medium), meaning, meaning, medium)


def _captions_of(media: list[Medium], rng: Rng, task: str) -> Iterator[Row]:
    for medium in media:
        query = side(medium, instruction=instruct(task, rng))
        text = fine(medium.scene, rng)
        yield pair(query, side(text=text), medium.content_id, medium.content_id)


def _composed(query: Row, before: Medium, after: Medium) -> Row:
    query_id = f"{before.content_id} => {after.content_id}"
    return against(pair(query, side(after), query_id, after.content_id, after), before)
