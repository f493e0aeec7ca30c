"""`unite data check` as its user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image
from tests.cli.conftest import Unite
from tests.data_.sources.conftest import picture, shard


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unite.cli.main", "data", *words]
    return subprocess.run(command, capture_output=True, text=True)


def write(folder: Path, names: list[str]) -> Path:
    Image.new("RGB", (30, 20)).save(folder / "good.png")
    (folder / "broken.png").write_bytes(b"broken")
    rows = [
        {"query": {"text": f"text {number}"}, "candidate": {"image": name}}
        for number, name in enumerate(names)
    ]
    (folder / "pairs.json").write_text(json.dumps(rows))
    return folder / "pairs.json"


def test_sound_data_end_with_0(tmp_path: Path) -> None:
    done = run("check", str(write(tmp_path, ["good.png"])), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "text→image" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not done.stderr


def test_faults_end_with_3_and_are_all_in_the_report(tmp_path: Path) -> None:
    pairs, report = write(tmp_path, ["good.png", *["broken.png"] * 2]), tmp_path / "faults.jsonl"
    done = run("check", str(pairs), "--workers", "1", "--json", "--report", str(report))
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["good"], found["unreadable"]) == (3, 1, {"image": 1})
    (line,) = [json.loads(text) for text in report.read_text().splitlines()]
    assert (line["kind"], line["number"], line["rows"]) == ("medium", 2, 2)
    told = run("check", str(pairs), "--workers", "1")
    assert "unreadable" in told.stderr
    assert "row 2" in told.stderr


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run("check", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "There is no" in done.stderr
    assert done.stderr.count("\n") == 1


def test_tables_are_checked_by_their_columns(unite: Unite, tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "rows.csv").write_text("words,file\na,good.png\nb,broken.png\nc,good.png\n")
    options = ("--query", "words", "--candidate", "file", "--workers", "1", "--json")
    result = unite("data", "check", tmp_path / "rows.csv", *options)
    assert result.exit_code == 3, result.exception
    found = json.loads(result.stdout)
    assert (found["rows"], found["broken"], found["kinds"]) == (3, 1, {"text→image": 3})
    unsaid = unite("data", "check", tmp_path / "rows.csv")
    assert "Give query and candidate" in str(unsaid.exception)
    unknown = unite("data", "check", tmp_path / "rows.csv", "--kind", "hff")
    assert "Did you mean 'hf'?" in str(unknown.exception)


def test_item_files_are_known_or_named(unite: Unite, tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "items.jsonl").write_text('{"image": "good.png"}\n{"txt": "typo"}\n')
    for kind in ([], ["--kind", "items"]):
        result = unite("data", "check", tmp_path / "items.jsonl", "--json", *kind)
        assert result.exit_code == 3, result.exception
        assert json.loads(result.stdout)["kinds"] == {"image": 1}


def test_many_faults_are_shown_in_part_and_written_whole(unite: Unite, tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "many.jsonl").write_text('{"query": 1, "candidate": 2}\n' * 50)
    report = tmp_path / "new" / "faults.jsonl"
    result = unite("data", "check", tmp_path / "many.jsonl", "--report", report)
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 21
    assert f"30 more in {report}" in result.stderr
    assert len(report.read_text().splitlines()) == 50
    assert [path.name for path in report.parent.iterdir()] == ["faults.jsonl"]


def test_what_is_unpacked_is_kept_only_where_asked(unite: Unite, tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [("1.png", picture()), ("1.txt", b"t")])
    result = unite("data", "check", path, "--scratch", tmp_path / "kept")
    assert result.exit_code == 0, result.exception
    assert len([one for one in (tmp_path / "kept").rglob("*") if one.is_file()]) == 1


def test_mine_is_beside_it() -> None:
    assert "mine" in run("--help").stdout
