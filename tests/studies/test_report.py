import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.studies.conftest import Made, finish, ranks, task

from unite.studies.arm import Setting
from unite.studies.comparison import Comparison
from unite.studies.families import FINE, MIXED, PURE
from unite.studies.node import FAILURE, write_json
from unite.studies.outcome import Outcomes
from unite.studies.report import results, sentence, write_report
from unite.studies.scoring import TaskResult
from unite.studies.study import Study
from unite.studies.tables import family_table, score_tables, spread
from unite.studies.verdict import RULE, Claim, Floor

CLAIMS = (
    Claim("a beats b.", "paper", (Comparison(PURE, "a", "b"),)),
    Claim("b beats a.", "reviewers", (Comparison(PURE, "b", "a"),)),
    Claim("a beats b by 28 points.", "us", (Comparison(PURE, "a", "b", 0.28),)),
)
STUDY = Study(
    "study", "A | study <b>", "Does a beat b?", (), lambda *_: CLAIMS, (PURE, FINE, MIXED),
    Floor("b", FINE, 0.3), limits=("One world.",),
)  # fmt: skip


@pytest.fixture
def outcomes(made: Made) -> Outcomes:
    found = made(
        {
            "a": [ranks(h) for h in (70, 71, 72)],
            "b": [ranks(h) for h in (40, 41, 42)],
            "fails": [[], [], []],
        }
    )
    write_json(found.runs[-1].last.folder / FAILURE, {"error": "no room"})
    return Outcomes(found.runs)


@pytest.fixture
def folder(outcomes: Outcomes, tmp_path: Path) -> Path:
    write_report(STUDY, Setting(data=str(tmp_path / "world")), outcomes, tmp_path)
    return tmp_path


def test_a_gallery_of_everything_is_also_told_by_what_is_asked_for(made: Made) -> None:
    run = made({"a": [ranks(50)]}).runs[0]
    mixed = TaskResult(
        "mixed", "seen_combinations", "mixed", "text→image/text", 9, (1, 1, 1, 2),
        ("image", "image", "text", "text"), ("image",) * 4,
    )  # fmt: skip
    finish(run, [task([1, 2]), mixed])
    assert family_table(Outcomes([run]), "all").rows == (
        ("seen_combinations/t2i", "50.0"),
        ("seen_combinations/mixed", "75.0"),
        ("seen_combinations/mixed, image asked for", "100.0"),
        ("seen_combinations/mixed, text asked for", "50.0"),
    )


def test_it_says_all_three_verdicts_with_their_numbers(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert "- a beats b. **Supported**" in text
    assert "- b beats a. **Not supported**" in text
    assert "- a beats b by 28 points. **Open**" in text
    assert "a − b, one modality: +30.0 points (" in text
    assert "claimed above +28.0: open" in text
    assert RULE in text
    assert "nothing is said before 'b' reaches R@1 0.30" in text
    assert "One world." in text
    assert "- mixed gallery: one gallery of texts, pictures and clips" in text


def test_scores_have_their_spread_and_failures_their_row(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert "| a | 3 | 71.0 ± 1.0 | 71.0 ± 1.0 | – | 0.50 | 50 |" in text
    assert "| fails | 0 | – | – | – | – | – |" in text
    assert "| fails | 2 | stage 2: no room |" in text
    assert "6 of 9 runs finished" in text


def test_the_page_is_whole_and_escaped(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "A | study &lt;b&gt;" in page
    assert page.count("data:image/png;base64,") == 2
    assert '<b class="supported">Supported</b>' in page
    assert "http" not in page


def test_the_pictures_open(folder: Path) -> None:
    for name in ("scores.png", "differences.png"):
        with Image.open(folder / name) as picture:
            assert picture.width > 500
    assert not list(folder.glob("*.partial"))


def test_machines_read_the_same(folder: Path) -> None:
    row = json.loads((folder / "results.json").read_text())
    assert [verdict["ruling"] for verdict in row["verdicts"]] == [
        "supported", "not supported", "open",
    ]  # fmt: skip
    assert row["verdicts"][0]["comparisons"][0]["differences"] == pytest.approx([0.3] * 3)
    assert len(row["runs"]) == 9
    assert row["setting"]["data"] == "world"  # no place that only this machine has
    assert row["runs"][0]["scores"] == {
        "one modality": 0.7, "fine": 0.7, "mixed gallery": None,
    }  # fmt: skip
    assert row["runs"][-1]["error"] == "stage 2: no room"


def test_it_tells_how_many_runs_there_are_in_all_and_whose_seeds(
    made: Made, tmp_path: Path
) -> None:
    outcomes = made({"a": [ranks(70)], "b": [ranks(40)]})
    chosen = replace(outcomes.runs[0], seed=1000)
    arm = replace(chosen.arm, name="choosing", group="tuning", seeds=(1000,))
    known = Outcomes([*outcomes.runs, replace(chosen, arm=arm)])
    phases = (lambda *_: [run.arm for run in outcomes.runs], lambda *_: [later])
    later = replace(outcomes.runs[0].arm, name="later")
    setting = Setting(data=str(tmp_path / "of" / "mine"), seeds=(0,))
    write_report(replace(STUDY, phases=phases), setting, known, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "seeds 0; 3 of 3 runs finished" in text
    assert "Seeds of the group tuning: 1000." in text
    assert "Data: mine; " in text
    assert str(tmp_path) not in (tmp_path / "results.json").read_text()
    (table,) = text.split("### R@1 in % of each task\n\n")[1].split("\n\n")[:1]
    assert table.startswith("| task | a | b |\n")  # and no column of what only served to choose


def test_a_study_of_which_nothing_is_there_says_so(made: Made, tmp_path: Path) -> None:
    none = made({"a": [[]], "b": [[]]})
    found = write_report(STUDY, Setting(data=str(tmp_path)), none, tmp_path)
    assert {verdict.ruling for verdict in found} == {"no verdict"}
    assert sentence(found[0]) == "No verdict: the reference arm 'b' has no result."


def test_tuning_arms_are_scored_on_the_tuning_queries(made: Made, tmp_path: Path) -> None:
    outcomes = made({"a": [[1, 1, 2, 2] * 5]})
    outcomes.runs[0] = replace(outcomes.runs[0], arm=replace(outcomes.runs[0].arm, group="tuning"))
    study = replace(STUDY, part="test")
    (table,) = score_tables(study, outcomes)
    assert "tuning queries" in table.title
    assert table.rows[0][2] == "100.0"
    (run,) = results(study, Setting(data=str(tmp_path)), outcomes, [])["runs"]
    assert (run["queries"], run["scores"]["fine"]) == ("tuning", 1.0)


def test_what_was_chosen_for_an_arm_stands_beside_it(made: Made, tmp_path: Path) -> None:
    outcomes = made({"a": [[1, 1]], "b": [[1, 2]]})
    (plain,) = score_tables(STUDY, outcomes)
    assert plain.head[:2] == ("arm", "seeds")
    arm = replace(outcomes.runs[0].arm, chosen="τ 0.08")
    outcomes.runs[0] = replace(outcomes.runs[0], arm=arm)
    (table,) = score_tables(STUDY, outcomes)
    assert table.head[:3] == ("arm", "chosen", "seeds")
    assert [row[:3] for row in table.rows] == [("a", "τ 0.08", "1"), ("b", "", "1")]
    rows = results(STUDY, Setting(data=str(tmp_path)), outcomes, [])["runs"]
    assert [row["chosen"] for row in rows] == ["τ 0.08", None]


def test_spread_is_told_from_two_seeds_on() -> None:
    assert spread([]) == "–"
    assert spread([0.5]) == "50.0"
    assert spread([0.5, 0.52]) == "51.0 ± 1.4"


def test_a_reason_of_several_lines_stays_in_its_cell(made: Made, tmp_path: Path) -> None:
    outcomes = made({"a": [ranks(50)], "b": [ranks(40), []]})
    failed = outcomes.runs[-1]
    write_json(failed.last.folder / FAILURE, {"error": "Error(s):\n\tsize | mismatch"})
    setting = Setting(data=str(tmp_path))
    write_report(STUDY, setting, Outcomes(outcomes.runs), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| b | 1 | stage 2: Error(s): size / mismatch |" in text.splitlines()
