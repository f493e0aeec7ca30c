"""mteb takes a model as it is: its own mock tasks, which need no network, run to a score."""

from __future__ import annotations

from typing import Any

import pytest

from unite.model.checkpoint import Model
from unite.model.transformer import wrap

pytestmark = pytest.mark.filterwarnings("ignore::Warning", "ignore::pytest.PytestWarning")
FEW = {"MockRetrievalTask", "MockSTSTask", "MockAny2AnyRetrievalT2I", "MockImageClassification"}


@pytest.fixture(scope="module")
def wrapped(tiny_model: Model) -> Any:
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    model = SentenceTransformerEncoderWrapper(wrap(tiny_model))
    model.mteb_model_meta.modalities = ["text", "image"]
    return model


def test_text_and_image_tasks_run(wrapped: Any) -> None:
    import mteb
    from mteb.mocks.mock_run import get_compatible_mock_tasks

    tasks = [task for task in get_compatible_mock_tasks(wrapped) if task.metadata.name in FEW]
    assert len(tasks) == len(FEW)
    done = mteb.evaluate(wrapped, tasks, cache=None, show_progress_bar=False)
    assert {result.task_name for result in done.task_results} == FEW


@pytest.mark.slow
def test_all_mock_tasks_of_text_and_image_run(wrapped: Any) -> None:
    import mteb

    outcome = mteb.mock_run(wrapped).task_results
    run = {name: result for name, result in outcome.items() if result is not None}
    failed = {name: result for name, result in run.items() if "Error" in type(result).__name__}
    assert not failed
    assert len(run) > 35
