from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from unite.cli.world import world
from unite.errors import DataError


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("world")(world)
    return made


def test_it_makes_a_world_and_says_what_is_in_it(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "w"), "--size", "4", "--seed", "1"])
    assert result.exit_code == 0
    assert "seed 1" in result.stdout
    assert "eval/new_combinations: 19 tasks" in result.stdout
    assert (tmp_path / "w" / "world.json").is_file()


def test_json_is_the_facts_alone(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "w"), "--size", "4", "--json"])
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts == json.loads((tmp_path / "w" / "world.json").read_bytes())
    assert (facts["size"], facts["seed"]) == (4, 0)


def test_a_foreign_folder_is_a_user_error(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    result = CliRunner().invoke(app, [str(tmp_path), "--size", "4"])
    assert isinstance(result.exception, DataError)


@pytest.mark.parametrize("options", [["--size", "0"], ["--seed", "-1"], ["--sizes", "4"]])
def test_wrong_usage_exits_2(app: typer.Typer, tmp_path: Path, options: list[str]) -> None:
    assert CliRunner().invoke(app, [str(tmp_path / "w"), *options]).exit_code == 2
    assert not (tmp_path / "w").exists()


def test_the_directory_is_required(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, []).exit_code == 2


def test_help_needs_no_heavy_import() -> None:
    code = "import sys, unite.cli.world; print([m for m in ('numpy', 'av', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
