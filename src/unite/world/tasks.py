"""Evaluation tasks of one split: queries, galleries, and every true positive by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unite.world.captions import (
    Question,
    coarse,
    edit_text,
    fine,
    page_question,
    part_text,
    question,
    story_edit_text,
)
from unite.world.families import Medium
from unite.world.galleries import Gallery
from unite.world.pairs import instruct, side, two_wordings
from unite.world.sampling import Rng, pick, rng_for
from unite.world.scenes import NEW_SEQUENCES

UP = "../../"
MIXED = ("t2i_fine", "t2v_fine", "i2t", "it2i_edit", "vt2v", "t2ti")
"""Tasks whose queries the mixed task asks of all their galleries at once."""
TRIES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A query or a candidate.

    Attributes:
        id: Its name; a candidate keeps it wherever it is one.
        fields: The item: text, image or video, instruction.
        meaning: What it shows, or for a query what it asks for; equal means a true match.
    """

    id: str
    fields: dict[str, Any]
    meaning: str

    @property
    def modality(self) -> str:
        """Its parts in the order text, image, video: ``text,image``."""
        return ",".join(key for key in ("text", "image", "video") if key in self.fields)


@dataclass(frozen=True, slots=True)
class Task:
    """Queries and one gallery; a query's positives are all candidates of the meaning it asks for.

    Attributes:
        name: Its name, which is its file's.
        family: coarse, fine, temporal, composed, questions or mixed.
        queries: What is asked.
        candidates: The gallery.
        wanted: The modality each query asks for, where the gallery has several.
    """

    name: str
    family: str
    queries: Sequence[Entry]
    candidates: Sequence[Entry]
    wanted: Sequence[str] | None = None

    def document(self) -> dict[str, Any]:
        """The task as its JSON file holds it."""
        wanted = self.wanted or [""] * len(self.queries)
        excluded = self._excluded()
        return {
            "task": self.name,
            "family": self.family,
            "queries": [
                {"id": query.id, **query.fields, **({"target_modal": modality} if modality else {})}
                for query, modality in zip(self.queries, wanted, strict=True)
            ],
            "candidates": [{"id": entry.id, **entry.fields} for entry in self.candidates],
            "positives": self._positives(wanted),
            **({"excluded": excluded} if excluded else {}),
        }

    def _by_meaning(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.candidates:
            found.setdefault(entry.meaning, []).append(entry)
        return found

    def _excluded(self) -> dict[str, list[str]]:
        """What means the same in another modality, for queries that do not say which they want."""
        by_meaning = self._by_meaning()
        found = {
            query.id: [e.id for e in by_meaning.get(query.meaning, []) if e.modality != modality]
            for query, modality in zip(self.queries, self.wanted or (), strict=False)
            if "instruction" not in query.fields
        }
        return {query: others for query, others in found.items() if others}

    def _positives(self, wanted: Sequence[str]) -> dict[str, list[str]]:
        by_meaning = self._by_meaning()
        return {
            query.id: [
                entry.id
                for entry in by_meaning.get(query.meaning, [])
                if modality in ("", entry.modality)
            ]
            for query, modality in zip(self.queries, wanted, strict=True)
        }


class TaskWriter:
    """Makes the evaluation tasks of one split.

    Args:
        gallery: Its scenes.
        seed: The world's seed.
    """

    def __init__(self, gallery: Gallery, seed: int) -> None:
        self.gallery, self.seed = gallery, seed
        self.images = [family.images[0] for family in gallery.images]
        self.twins = [family.twins[0][1] for family in gallery.images]
        self.changes = [family.changes[0] for family in gallery.images]
        self.crops = [family.crops[0][1] for family in gallery.images]
        self.clips = [family.clips[0] for family in gallery.clips]
        self.edited_clips = [family.clips[1] for family in gallery.clips]
        self.orders = [clip for family in gallery.orders for clip in family.clips]

    def tasks(self) -> list[Task]:
        """All tasks of the split, the mixed one last."""
        found = [
            self._captioned("t2i_coarse", "coarse", self.images, is_coarse=True),
            self._captioned("t2i_fine", "fine", self.images),
            self._captioned("t2v_coarse", "coarse", self.clips, is_coarse=True),
            self._captioned("t2v_fine", "fine", self.clips),
            self._captions_of("i2t", self.images),
            self._captions_of("v2t", self.clips),
            self._temporal(),
            self._tt(),
            self._i2i(),
            self._t2ti(),
            self._it2t(),
            self._it2i_crop(),
            *self._with_controls("it2i_edit", self._edit_texts(), self._edits()),
            *self._with_controls("vt2v", self._story_texts(), self._stories()),
        ]
        return [*found, mixed([task for task in found if task.name in MIXED])]

    def _rng(self, name: str) -> Rng:
        return rng_for(self.seed, f"task {self.gallery.split} {name}")

    def _captioned(
        self, name: str, family: str, media: list[Medium], *, is_coarse: bool = False
    ) -> Task:
        rng, write = self._rng(name), coarse if is_coarse else fine
        texts = [write(medium.scene, rng) for medium in media]
        meanings = [_meaning(medium, is_coarse) for medium in media]
        return Task(
            name,
            family,
            [Entry(f"{name}/{i:04d}", {"text": t}, meanings[i]) for i, t in enumerate(texts)],
            [_shown(medium, m) for medium, m in zip(media, meanings, strict=True)],
        )

    def _captions_of(self, name: str, media: list[Medium]) -> Task:
        rng = self._rng(name)
        queries = [
            Entry(f"{name}/{i:04d}", side(m, instruction=instruct(name, rng), up=UP), m.content_id)
            for i, m in enumerate(media)
        ]
        texts = [
            Entry(f"caption:{m.path}", {"text": fine(m.scene, rng)}, m.content_id) for m in media
        ]
        return Task(name, "fine", queries, texts)

    def _temporal(self) -> Task:
        task = self._captioned("t2v_temporal", "temporal", self.orders)
        if self.gallery.split != "new_combinations":
            return task
        new = [clip.scene.sequence in NEW_SEQUENCES for clip in self.orders]
        queries = [query for query, is_new in zip(task.queries, new, strict=True) if is_new]
        return Task(task.name, task.family, queries, task.candidates)

    def _tt(self) -> Task:
        rng = self._rng("tt")
        media = [pair[i % 2] for i, pair in enumerate(zip(self.images, self.clips, strict=True))]
        worded = [two_wordings(medium, rng) for medium in media]
        return Task(
            "tt",
            "fine",
            [
                Entry(f"tt/{i:04d}", {"text": words[0]}, media[i].content_id)
                for i, words in enumerate(worded)
            ],
            [
                Entry(f"wording:{medium.path}", {"text": words[1]}, medium.content_id)
                for medium, words in zip(media, worded, strict=True)
            ],
        )

    def _i2i(self) -> Task:
        queries = self._queries("i2i", "i2i", self.images, None, self.twins)
        return Task("i2i", "fine", queries, [_shown(twin) for twin in self.twins])

    def _t2ti(self) -> Task:
        rng = self._rng("t2ti")
        asked = [page_question(image.scene, rng) for image in self.images]
        pages = [
            Entry(
                f"page:{image.path}",
                side(image, coarse(image.scene, rng), up=UP),
                image.content_id,
            )
            for image in self.images
        ]
        return Task("t2ti", "fine", self._queries("t2ti", "t2ti", None, asked, self.images), pages)

    def _it2t(self) -> Task:
        rng, taken = self._rng("it2t"), set[str]()
        asked = [_new_question(image, rng, taken) for image in self.images]
        queries = [
            Entry(
                f"it2t/{i:04d}",
                side(image, each.text, instruct("it2t", rng), UP),
                each.thing.id,
            )
            for i, (image, each) in enumerate(zip(self.images, asked, strict=True))
        ]
        answers = [
            Entry(f"answer:{image.path}", {"text": each.answer}, each.thing.id)
            for image, each in zip(self.images, asked, strict=True)
        ]
        return Task("it2t", "questions", queries, answers)

    def _it2i_crop(self) -> Task:
        rng = self._rng("it2i_crop")
        texts = [part_text(crop.scene, crop.crop, rng) for crop in self.crops if crop.crop]
        queries = self._queries("it2i_crop", "it2i_crop", self.images, texts, self.crops)
        gallery = [_shown(medium) for medium in (*self.crops, *self.images)]
        return Task("it2i_crop", "composed", queries, gallery)

    def _edits(self) -> tuple[list[Medium], list[Medium]]:
        return [c.before for c in self.changes], [c.after for c in self.changes]

    def _edit_texts(self) -> list[str]:
        rng = self._rng("it2i_edit texts")
        return [edit_text(change.edit, rng) for change in self.changes]

    def _stories(self) -> tuple[list[Medium], list[Medium]]:
        return self.clips, self.edited_clips

    def _story_texts(self) -> list[str]:
        rng = self._rng("vt2v texts")
        return [
            story_edit_text(before.scene, after.scene, rng)
            for before, after in zip(self.clips, self.edited_clips, strict=True)
        ]

    def _with_controls(
        self, name: str, texts: list[str], media: tuple[list[Medium], list[Medium]]
    ) -> list[Task]:
        """The composed task, and the same asked with the words alone and the medium alone."""
        before, after = media
        gallery = [_shown(medium) for medium in (*after, *before)]
        ways: dict[str, tuple[list[Medium] | None, list[str] | None]] = {
            name: (before, texts),
            f"{name}_text_only": (None, texts),
            f"{name}_visual_only": (before, None),
        }
        return [
            Task(way, "composed", self._queries(way, name, sources, words, after), gallery)
            for way, (sources, words) in ways.items()
        ]

    def _queries(
        self,
        name: str,
        task: str,
        media: Sequence[Medium] | None,
        texts: Sequence[str] | None,
        wanted: Sequence[Medium],
    ) -> list[Entry]:
        rng = self._rng(f"{task} instructions")
        return [
            Entry(
                f"{name}/{i:04d}",
                side(
                    media[i] if media else None,
                    texts[i] if texts else None,
                    instruct(task, rng),
                    UP,
                ),
                want.content_id,
            )
            for i, want in enumerate(wanted)
        ]


def mixed(tasks: Sequence[Task]) -> Task:
    """Ask the queries of several tasks of the union of their galleries."""
    union = {entry.id: entry for task in tasks for entry in task.candidates}
    queries = [query for task in tasks for query in task.queries]
    wanted = [task.candidates[0].modality for task in tasks for _ in task.queries]
    return Task("mixed", "mixed", queries, list(union.values()), wanted)


def _shown(medium: Medium, meaning: str = "") -> Entry:
    return Entry(medium.path, side(medium, up=UP), meaning or medium.content_id)


def _meaning(medium: Medium, is_coarse: bool) -> str:
    return medium.scene.coarse_id if is_coarse else medium.content_id


def _new_question(image: Medium, rng: Rng, taken: set[str]) -> Question:
    # One answer should answer one query; a small world may run out of answers.
    for _ in range(TRIES):
        asked = question(image.scene, pick(rng, image.scene.things), rng)
        if asked.thing.id not in taken:
            break
    taken.add(asked.thing.id)
    return asked
