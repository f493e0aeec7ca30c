import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_all_verbs_is_what_the_program_says() -> None:
    """Renew it with `make docs`."""
    command = [sys.executable, "-m", "typer", "unite.cli.main", "utils", "docs", "--name", "unite"]
    said = subprocess.check_output(command, text=True, env={**os.environ, "COLUMNS": "100"})
    assert (DOCS / "cli.md").read_text().strip() == said.strip()


def test_every_page_is_listed() -> None:
    listed = (DOCS / "README.md").read_text()
    assert all(f"({page.name})" in listed for page in DOCS.glob("*.md") if page.name != "README.md")


@pytest.mark.filterwarnings("ignore::Warning", "ignore::pytest.PytestWarning")
def test_the_page_of_mteb_runs(tiny: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "mteb.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec("".join(blocks).replace("base-2b", str(tiny)), names)
    (result,) = names["done"].task_results  # type: ignore[attr-defined]
    assert result.task_name == "MockSTSTask"
