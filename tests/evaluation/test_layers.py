"""Evaluation takes an encoder: it works where torch is not even installed."""

import subprocess
import sys
from pathlib import Path

import unite.evaluation

ROOT = Path(unite.evaluation.__file__).parent


def test_no_part_of_evaluation_imports_torch_or_draws_at_import() -> None:
    names = [
        "unite.evaluation." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(ROOT.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    assert len(names) > 30
    code = f"import sys, {', '.join(names)}; print(sorted({{'torch', 'matplotlib', 'pyarrow'}} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
