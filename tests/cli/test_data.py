"""`unite data check` as its user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image


def unite(*words: str) -> subprocess.CompletedProcess[str]:
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
    done = unite("check", str(write(tmp_path, ["good.png"])), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "text→image" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not done.stderr


def test_faults_end_with_3_and_are_all_in_the_report(tmp_path: Path) -> None:
    pairs, report = write(tmp_path, ["good.png", *["broken.png"] * 2]), tmp_path / "faults.jsonl"
    done = unite("check", str(pairs), "--workers", "1", "--json", "--report", str(report))
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["good"], found["unreadable"]) == (3, 1, {"image": 1})
    (line,) = [json.loads(text) for text in report.read_text().splitlines()]
    assert (line["kind"], line["number"], line["rows"]) == ("medium", 2, 2)
    told = unite("check", str(pairs), "--workers", "1")
    assert "unreadable" in told.stderr
    assert "row 2" in told.stderr


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = unite("check", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "There is no" in done.stderr
    assert done.stderr.count("\n") == 1


def test_mine_is_beside_it() -> None:
    assert "mine" in unite("--help").stdout
