"""`unite demo`: the whole system in small, from nothing to answers, in a few minutes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from unite.embedder import Embedder
    from unite.evaluation.results import Score
    from unite.library.library import Library
    from unite.sheets import Section

SIZE = 2400
SEED = 7
ROUTED = 400  # pairs of each source that the router is fitted on
SPLITS = {
    "seen_combinations": "Scenes never seen",
    "new_combinations": "Scenes with shape-colour pairs and motion sequences never seen",
}


def demo(
    directory: Annotated[Path, typer.Argument(help="Where everything is put.")] = Path("demo"),
    scale: Annotated[
        float, typer.Option(min=0.005, help="Share of the full demo's data and steps.")
    ] = 1.0,
) -> None:
    """Make a small world, train on it in two stages, index a folder and ask it six questions.

    Interrupted and run again, it goes on where it stopped.
    """
    from rich.console import Console

    from unite.cli import eval_tables

    console = Console()
    world, stages = directory / "world", directory / "runs"
    _step(console, 1, "A small world of real PNG and MP4 files")
    _make_world(world, scale)
    console.print(f"  {world}")

    _step(console, 2, "A small embedder from scratch, in two stages")
    scores = {"untrained": _scores(directory, "untrained", _untrained(stages, world, scale), world)}
    for column, recipe, model in (
        ("stage 1", "small-stage1", None),
        ("stage 2", "small-stage2", stages / "stage1" / "model"),
    ):
        run = stages / column.replace(" ", "")
        _train(recipe, run, _changes(recipe, world, scale, model))
        scores[column] = _scores(directory, column, run / "model", world)

    _step(console, 3, "What it learned: share of queries answered first, among 5, among 10")
    for split, title in SPLITS.items():
        rows = {
            name: [part for part in all_ if part.split == split] for name, all_ in scores.items()
        }
        console.print(eval_tables.scores(title, rows))
        console.print(_note(rows["stage 2"]), highlight=False, soft_wrap=True)

    _fit_router(stages / "stage2" / "model", world)
    _step(console, 4, "A folder of texts, pictures and clips, indexed and searched")
    library, encoder = _index(world / "demo" / "library", directory, stages / "stage2" / "model")
    sections = _answer(console, library, encoder, world / "demo" / "queries.json")

    _step(console, 5, "A contact sheet of it all")
    _write_sheets(console, directory, sections)


def _step(console: Console, number: int, what: str) -> None:
    console.print(f"\n[bold]{number}. {what}[/bold]")


def _make_world(world: Path, scale: float) -> None:
    from unite.cli.progress import progress_bars
    from unite.world.build import build_world

    with progress_bars() as show:
        build_world(
            world,
            max(40, round(SIZE * scale)),
            SEED,
            progress=lambda done, total: show("small world: drawing", done, total),
        )


def _changes(recipe: str, world: Path, scale: float, model: Path | None) -> list[str]:
    """What the demo sets in a shipped recipe: places, and steps if it is scaled."""
    from unite.training.recipe_files import load_recipe

    changes = [f"data.root={world.resolve()}"]
    if model is not None:
        changes.append(f"model.start={model.resolve()}")
    if scale != 1.0:
        steps = load_recipe(recipe, changes).optimiser.steps or 0
        changes.append(f"optimiser.steps={max(2, round(steps * scale))}")
    return changes


def _untrained(stages: Path, world: Path, scale: float) -> Path:
    """The model of stage 1 before its first step."""
    from unite.model.checkpoint import save_model
    from unite.training.recipe_files import load_recipe
    from unite.training.stages import starting_model

    directory = stages / "untrained"
    if not directory.exists():
        recipe = load_recipe("small-stage1", _changes("small-stage1", world, scale, None))
        save_model(starting_model(recipe), directory)
    return directory


def _train(recipe: str, run: Path, changes: list[str]) -> None:
    from unite.training.launch import launch
    from unite.training.recipe_files import load_recipe

    if (run / "model").exists():
        return
    how = load_recipe(recipe, changes).run
    words = [recipe, "-o", str(run), "--resume", *(f"--set={change}" for change in changes)]
    launch(words, how.processes, how.threads)


def _fit_router(model: Path, world: Path) -> None:
    """Learn from the pairs of stage 2 what a query wants; the mask leaves that to the search."""
    from unite.data.records import read_pairs
    from unite.library.router import FILE, fit
    from unite.training.recipe_files import load_recipe

    if (model / FILE).exists():
        return
    rows = [
        (pair, weight)
        for source, weight in load_recipe("small-stage2", []).data.weights.items()
        for pair in read_pairs(world / "train" / f"{source}.json", source)[:ROUTED]
    ]
    pairs = [pair for pair, _ in rows]
    fit(
        [pair.query for pair in pairs],
        [pair.target_modality for pair in pairs],
        [weight for _, weight in rows],
    ).save(model / FILE)


def _scores(directory: Path, column: str, model: Path, world: Path) -> list[Score]:
    """Score a model, or read what an earlier run found."""
    from unite.cli.evaluate import WORLD, evaluate_world
    from unite.evaluation.registry import benchmark_named
    from unite.evaluation.saved import read_run, write_run

    path = directory / "scores" / f"{column.replace(' ', '')}.json"
    if not path.exists():
        known = benchmark_named(WORLD)
        annotations = {known.name: known.fingerprint(world)}
        run = evaluate_world(str(model), world)
        write_run(path, run, model=column, benchmarks=[known], annotations=annotations,
                  settings={"seed": 0})  # fmt: skip
    return read_run(path).scores


def _note(scores: list[Score]) -> str:
    """What the table's controls and its mixed row mean, with this run's numbers."""
    first = {score.task: score.recall[1] for score in scores}
    (mixed,) = (score for score in scores if score.task == "mixed")
    return (
        "  it2i_edit and vt2v have their sources in the gallery. Controls: text alone reaches\n"
        f"  {first['it2i_edit_text_only']:.2f} and {first['vt2v_text_only']:.2f}, "
        f"the picture or clip alone {first['it2i_edit_visual_only']:.2f} and "
        f"{first['vt2v_visual_only']:.2f}: it finds itself first.\n"
        f"  mixed is one gallery of everything: {mixed.wrong_modality or 0:.0%} of first hits are "
        "of a wrong modality,\n"
        "  because MAMCL's mask never compares candidates of different modalities.\n"
    )


def _index(folder: Path, directory: Path, model: Path) -> tuple[Library, Embedder]:
    from unite.embedder import Embedder
    from unite.library.ingest import ingest
    from unite.library.library import Library

    encoder = Embedder.open(str(model))
    place = directory / "library"
    if Library.exists(place):
        library = Library.open(place, model_id=encoder.model_id, dim=encoder.dim)
    else:
        library = Library.create(
            place,
            model_id=encoder.model_id,
            model=str(model.resolve()),
            dim=encoder.dim,
            mixed_gallery=encoder.mixed_gallery,
        )
    ingest(library, [folder], encoder)
    return library, encoder


def _answer(console: Console, library: Library, encoder: Embedder, path: Path) -> list[Section]:
    """Ask the six queries, print the first hits and keep them for the sheet."""
    from unite.data.records import parse_item
    from unite.library.search import HOW, search
    from unite.sheets import Section, SheetHit
    from unite.stores.filters import EVERYTHING, AnyOf, HasModality

    sections = []
    for query in json.loads(path.read_text(encoding="utf-8")):
        item = parse_item(query["item"], path.parent)
        only = AnyOf(tuple(map(HasModality, query["only"]))) if "only" in query else EVERYTHING
        result = search(library, encoder, item, k=4, where=only)
        wanted = {str((path.parent / name).resolve()) for name in query["expect"]}
        hits = [
            SheetHit(
                path=found.record.path,
                modality=found.record.modality,
                score=found.score,
                text=found.record.text,
                expected=str(Path(found.record.path).resolve()) in wanted,
            )
            for found in result.found
        ]
        sections.append(Section(query["title"], item, hits, HOW[result.ranking]))
        asked = f"  [bold]{query['title']}[/bold]: {_asked(query['item'])}"
        console.print(asked, highlight=False, soft_wrap=True)
        for rank, hit in enumerate(hits[:3], 1):
            mark = "[green]✓[/green]" if hit.expected else " "
            line = f"    {rank}. {mark} {hit.score:.3f}  {Path(hit.path).name}"
            console.print(line, highlight=False, soft_wrap=True)
    return sections


def _asked(row: dict[str, Any]) -> str:
    parts = [Path(row[key]).name for key in ("image", "video") if key in row]
    return " + ".join([*parts, *([f"“{row['text']}”"] if "text" in row else [])])


def _write_sheets(console: Console, directory: Path, sections: list[Section]) -> None:
    from unite.library.thumbnails import thumbnails
    from unite.sheets import write_html, write_png

    html, png = directory / "sheet.html", directory / "sheet.png"
    writers: list[tuple[Path, Callable[..., None]]] = [(html, write_html), (png, write_png)]
    for path, write in writers:
        write(path, sections, thumbnails)
        console.print(f"  {path.resolve()}")
    console.print(
        "\nNow your own folder, with the small model that comes with the package:\n"
        "  unite index ~/Pictures -l my-library\n"
        '  unite search "a small red star on the left" -l my-library\n'
        "It knows nothing but the small world; for photographs use a released model "
        "(4 GB, downloaded once):\n"
        "  unite index ~/Pictures -l my-photos -m instruct-2b",
        highlight=False,
        soft_wrap=True,
    )
