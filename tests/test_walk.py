"""docs/training.md as a user would follow it: every command of the page, in its order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unite.world.build import build_world

PAGE = Path(__file__).parents[1] / "docs" / "training.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page; every other fence ends one."""
    parts = re.split(r"^```", PAGE.read_text(), flags=re.MULTILINE)[1::2]
    found = [part.partition("\n") for part in parts]
    return [text for name, _, text in found if name.strip() == language]


COMMANDS = [
    line for block in blocks("") for line in block.splitlines() if line.startswith("unite ")
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips, the recipe and the pairs that the page speaks of."""
    home = tmp_path_factory.mktemp("walk")
    build_world(home / "world", 40, 3)
    (home / "clips").mkdir()
    rows = json.loads((home / "world" / "train" / "tv_fine.json").read_text())
    for number, row in enumerate(rows):
        clip = home / "world" / "train" / row["candidate"]["video"]
        shutil.copy(clip, home / "clips" / f"{number}.mp4")
        (home / "clips" / f"{number}.txt").write_text(row["query"]["text"])
    (recipe,) = (block for block in blocks("toml") if "[optimiser]" in block)
    (home / "clips.toml").write_text(recipe)
    (example,) = (json.loads(block) for block in blocks("json"))
    pairs = [
        {**example[0], "query": {"text": row["query"]["text"]}, "query_id": str(number),
         "candidate_id": str(number), "candidate": {"video": f"clips/{number}.mp4"},
         "negative": [{"video": f"clips/{(number + 1) % len(rows)}.mp4"}]}
        for number, row in enumerate(rows[:12])
    ]  # fmt: skip
    (home / "pairs.json").write_text(json.dumps(pairs))
    return home


def test_the_page_has_its_commands() -> None:
    verbs = {" ".join(command.split()[1:3]) for command in COMMANDS}
    assert {"data check", "data mine", "train clips.toml", "index clips"} <= verbs
    assert len(COMMANDS) >= 8


@pytest.mark.slow
def test_every_command_of_the_page_runs(home: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-ec", command], cwd=home, capture_output=True, text=True,
            env={**os.environ, "PATH": path, "COLUMNS": "80"},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (home / "runs" / "clips" / "model" / "README.md").exists()
    mined = [json.loads(line) for line in (home / "mined.jsonl").read_text().splitlines()]
    assert len(mined) == 12
    assert any(len(row["negative"]) > 1 for row in mined)
