import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from unite.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = [
    (page.name, " ".join(line.split()))
    for page in (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
    if page.name != "cli.md"
    for line in re.findall(r"^ *(?:\$ )?(unite (?:\\\n|.)*)", page.read_text(), re.MULTILINE)
]


def test_the_page_of_all_verbs_is_what_the_program_says() -> None:
    """Renew it with `make docs`."""
    command = [sys.executable, "-m", "typer", "unite.cli.main", "utils", "docs", "--name", "unite"]
    said = subprocess.check_output(command, text=True, env={**os.environ, "COLUMNS": "100"})
    assert (DOCS / "cli.md").read_text().strip() == said.strip()


def test_every_page_is_listed() -> None:
    listed = (DOCS / "README.md").read_text()
    assert all(f"({page.name})" in listed for page in DOCS.glob("*.md") if page.name != "README.md")


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_of_the_pages_is_understood(page: str, line: str) -> None:
    command = get_command(app)
    words = shlex.split(line.replace("\\ ", ""), comments=True)[1:]
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def test_the_pages_have_their_commands() -> None:
    assert {"README.md", "training.md", "evaluation.md"} <= {page for page, _ in COMMANDS}
    assert len(COMMANDS) > 40


@pytest.mark.filterwarnings("ignore::Warning", "ignore::pytest.PytestWarning")
def test_the_page_of_mteb_runs(tiny: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "mteb.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec("".join(blocks).replace("base-2b", str(tiny)), names)
    (result,) = names["done"].task_results  # type: ignore[attr-defined]
    assert result.task_name == "MockSTSTask"
