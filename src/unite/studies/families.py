"""The scores that studies speak of, told by what a task asks and answers with.

Nothing here knows a task by name, so that the families hold for a user's own tasks as well.
"""

from __future__ import annotations

from collections.abc import Callable

from unite.studies.outcome import Metric
from unite.studies.scoring import TaskResult

NEW = "new_combinations"
"""A split of the small world. Tasks of any other count as seen."""
_CAPTIONED = ("text", "image", "video")
_MMEB = ("classification", "vqa", "retrieval", "grounding")


def _seen(task: TaskResult) -> bool:
    return task.split != NEW and not task.control


def _kind(task: TaskResult, medium: str) -> bool:
    """Text to one medium or back."""
    return task.kind in (f"text→{medium}", f"{medium}→text")


def _pure(task: TaskResult) -> bool:
    return _seen(task) and task.family != "mixed"


def _pure_new(task: TaskResult) -> bool:
    return task.split == NEW and not task.control and task.family != "mixed"


def _of(*families: str) -> Callable[[TaskResult], bool]:
    return lambda task: _pure(task) and task.family in families


def _captioned(task: TaskResult) -> bool:
    return _pure(task) and task.family in ("coarse", "fine")


PURE = Metric("one modality", _pure, "all tasks but the mixed gallery")
MIXED = Metric(
    "mixed gallery",
    lambda task: _seen(task) and task.family == "mixed",
    "one gallery of texts, pictures and clips",
)
WRONG = Metric(
    "wrong modality",
    MIXED.takes,
    "the share of first hits there that are of another modality than was asked for",
    what="wrong modality",
)
UNSEEN = Metric(
    "new combinations",
    _pure_new,
    "all tasks but the mixed gallery, of scenes whose kind training never saw",
)
TEXT = Metric("text", lambda task: _pure(task) and task.kind == "text→text", "text to text")
IMAGE = Metric(
    "image–text",
    lambda task: _pure(task) and _kind(task, "image"),
    "every task between text and pictures, in either direction",
)
VIDEO = Metric(
    "video–text",
    lambda task: _pure(task) and _kind(task, "video"),
    "every task between text and clips, in either direction",
)
COARSE = Metric("coarse", _of("coarse"), "captions that leave things out")
FINE = Metric(
    "fine",
    _of("fine"),
    "full captions in either direction, text to text, picture to picture, text to text with "
    "picture",
)
TO_IMAGE = Metric(
    "text→image",
    lambda task: _captioned(task) and task.kind == "text→image",
    "captions, coarse and fine, that ask for a picture",
)
TO_VIDEO = Metric(
    "text→video",
    lambda task: _captioned(task) and task.kind == "text→video",
    "captions, coarse and fine, that ask for a clip",
)
CAPTIONS = Metric(
    "captions",
    lambda task: _captioned(task) and task.kind.removeprefix("text→") in _CAPTIONED,
    "bare captions, coarse and fine, that ask for a text, a picture or a clip",
)
"""What stage 1 alone teaches: a bare caption, coarse or fine, asks for a text, an image or a clip.
Other directions are asked with instructions, which are words that stage 1 has never seen."""
TEMPORAL = Metric(
    "temporal",
    _of("temporal"),
    "captions of clips that only differ in what happens",
)
INSTRUCTED = Metric(
    "instructed",
    _of("composed", "questions", *_MMEB),
    "composed tasks, questions and all of MMEB together",
)
COMPOSED = Metric(
    "composed",
    _of("composed"),
    "a picture or clip with a change, or a picture with a thing to cut out; the sources are in the "
    "gallery",
)
QUESTIONS = Metric(
    "questions",
    _of("questions", "vqa"),
    "questions about a picture",
)
TEXT_ONLY = Metric(
    "text alone",
    lambda task: task.task.endswith("_text_only") and task.split != NEW,
    "a control: changes without their picture or clip",
)
VISUAL_ONLY = Metric(
    "picture or clip alone",
    lambda task: task.task.endswith("_visual_only") and task.split != NEW,
    "a control: pictures and clips without their change",
)
