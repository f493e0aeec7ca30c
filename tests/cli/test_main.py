import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Unite

VERBS = ["embed", "index", "search", "serve", "train", "world", "demo", "data", "eval", "model"]
HEAVY = [
    "torch",
    "transformers",
    "sentence_transformers",
    "lancedb",
    "pyarrow",
    "av",
    "PIL",
    "datasets",
]


def test_the_verbs_are_these(unite: Unite) -> None:
    shown = unite("--help").output
    assert [verb for verb in VERBS if f" {verb} " in shown] == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(unite: Unite, verb: str) -> None:
    result = unite(verb, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 8


def test_nothing_heavy_is_imported_before_a_verb_needs_it() -> None:
    code = (
        "import sys, json; from unite.cli.main import app; import unite; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert not [name for name in HEAVY if name in loaded]


def test_a_search_needs_neither_transformers_nor_sentence_transformers() -> None:
    code = (
        "import sys, json; import unite.embedder, unite.library.search, unite.model.qwen2_vl; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert "torch" in loaded
    assert not [
        name for name in ("transformers", "sentence_transformers", "datasets") if name in loaded
    ]


def test_wrong_usage_exits_with_two(unite: Unite) -> None:
    assert unite("embed").exit_code == 2
    assert unite("nonsense").exit_code == 2


def test_a_failure_that_can_be_mended_is_one_line_and_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unite.cli.main", "search", "x", "-l", str(tmp_path / "none")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("unite: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_version_is_the_packages(unite: Unite) -> None:
    from unite import __version__

    assert unite("--version").output.strip() == __version__


def test_a_reader_that_leaves_early_harms_nothing(tiny: Path) -> None:
    command = f"{sys.executable} -m unite.cli.main model info {tiny} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["index", "x"], "; the same again goes on"),
        (["data", "mine"], "; the same again goes on"),
        (["train", "x"], "; the same with --resume goes on"),
        (["data", "check"], ""),
        (["search", "train"], ""),
        ([], ""),
    ],
)
def test_an_interruption_tells_how_to_go_on_where_one_can(words: list[str], told: str) -> None:
    from unite.cli.main import _how_to_go_on

    assert _how_to_go_on(words) == told


def test_an_output_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "unite.cli.main", "world", tmp_path / "file" / "w"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"unite: {tmp_path / 'file'}")
    assert "Check the path" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_full_disk_is_one_line_though_the_system_names_no_file(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        f"sys.argv = ['unite', 'world', {str(tmp_path / 'w')!r}, '--size', '4'];"
        "from unite.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "unite: File too large. Check the path, its rights and the space that is left."
    )
    assert "Traceback" not in done.stderr
