from __future__ import annotations

import json
from pathlib import Path

import pytest

from unite.errors import DataError, MediaError
from unite.training.ledger import Ledger


def test_every_bad_sample_is_a_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "bad.jsonl", 0.5)
    for row in (3, 4):
        ledger.report(7, row, "clips", MediaError("öffnet nicht.", "Mend it."), 9)
    lines = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text("utf-8").splitlines()]
    assert lines[0] == {
        "step": 7, "row": 3, "source": "clips", "reason": "öffnet nicht. Mend it.", "filled_by": 9,
    }  # fmt: skip
    assert [line["row"] for line in lines] == [3, 4]


@pytest.mark.parametrize(("bad", "seen", "stops"), [(1, 1, False), (2, 50, True), (2, 200, False)])
def test_a_share_is_judged_over_a_hundred_at_least(
    tmp_path: Path, bad: int, seen: int, stops: bool
) -> None:
    ledger = Ledger(tmp_path / "bad.jsonl", 0.01)
    for row in range(bad):
        ledger.report(0, row, "a", MediaError("no."), 5)
    if stops:
        with pytest.raises(DataError, match=r"2 of 50 samples.*at most 1\.0%"):
            ledger.saw(seen)
    else:
        ledger.saw(seen)
        assert ledger.seen == seen
