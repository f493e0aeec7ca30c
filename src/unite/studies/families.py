"""The scores that studies speak of, told by what a task asks and answers with.

Nothing here knows a task by name, so that the families hold for a user's own tasks as well.
"""

from __future__ import annotations

from unite.studies.outcome import Metric
from unite.studies.scoring import TaskResult

NEW = "new_combinations"
"""A split of the small world. Tasks of any other count as seen."""
_INSTRUCTED = ("composed", "questions")
_CAPTIONED = ("text", "image", "video")


def _seen(task: TaskResult) -> bool:
    return task.split != NEW and not task.control


def _kind(task: TaskResult, medium: str) -> bool:
    """Text to one medium or back."""
    return task.kind in (f"text→{medium}", f"{medium}→text")


def _pure(task: TaskResult) -> bool:
    return _seen(task) and task.family != "mixed"


def _pure_new(task: TaskResult) -> bool:
    return task.split == NEW and not task.control and task.family != "mixed"


def _captioned(task: TaskResult) -> bool:
    return _pure(task) and task.family in ("coarse", "fine")


PURE = Metric("one modality", _pure)
"""Galleries of one modality each."""
MIXED = Metric("mixed gallery", lambda task: _seen(task) and task.family == "mixed")
WRONG = Metric(
    "wrong modality", lambda task: _seen(task) and task.family == "mixed", "wrong modality"
)
UNSEEN = Metric("new combinations", _pure_new)
TEXT = Metric("text", lambda task: _pure(task) and task.kind == "text→text")
IMAGE = Metric("image–text", lambda task: _pure(task) and _kind(task, "image"))
VIDEO = Metric("video–text", lambda task: _pure(task) and _kind(task, "video"))
COARSE = Metric("coarse", lambda task: _pure(task) and task.family == "coarse")
FINE = Metric("fine", lambda task: _pure(task) and task.family == "fine")
TO_IMAGE = Metric("text→image", lambda task: _captioned(task) and task.kind == "text→image")
TO_VIDEO = Metric("text→video", lambda task: _captioned(task) and task.kind == "text→video")
CAPTIONS = Metric(
    "captions", lambda task: _captioned(task) and task.kind.removeprefix("text→") in _CAPTIONED
)
"""What stage 1 alone teaches: a bare caption, coarse or fine, asks for a text, an image or a clip.
Other directions are asked with instructions, which are words that stage 1 has never seen."""
TEMPORAL = Metric("temporal", lambda task: _pure(task) and task.family == "temporal")
INSTRUCTED = Metric("instructed", lambda task: _pure(task) and task.family in _INSTRUCTED)
COMPOSED = Metric("composed", lambda task: _pure(task) and task.family == "composed")
QUESTIONS = Metric("questions", lambda task: _pure(task) and task.family == "questions")
TEXT_ONLY = Metric(
    "text alone", lambda task: task.task.endswith("_text_only") and task.split != NEW
)
VISUAL_ONLY = Metric(
    "picture or clip alone", lambda task: task.task.endswith("_visual_only") and task.split != NEW
)
