"""`unite model`: what a model is, whether it can be trusted, and how it becomes another."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unite.check import Check, Difference
    from unite.model.checkpoint import Model

app = typer.Typer(help="Look at a model, check it, merge and convert it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Directory, alias or hub id.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Dtype = Annotated[str | None, typer.Option(help="float32 or bfloat16.")]


@app.command("info")
def info(model: Name, json_: Json = False) -> None:
    """Print all that shapes a model's vectors. Loading it proves that its weights are whole."""
    from unite.model.checkpoint import load_model

    loaded = load_model(model)
    row = _facts(loaded)
    if json_:
        typer.echo(json.dumps(row))
        return
    _print_facts(row)
    card = (loaded.directory / "README.md") if loaded.directory else None
    if card is not None and card.exists():
        typer.echo(f"\n{card.read_text(encoding='utf-8')}")


@app.command("check")
def check(
    model: Name,
    golden: Annotated[
        Path | None, typer.Option(help="Compare with vectors stored by --save-golden.")
    ] = None,
    save_golden: Annotated[Path | None, typer.Option(help="Store the vectors here.")] = None,
    dtype: Dtype = None,
    json_: Json = False,
) -> None:
    """Prove that a model is whole and that neighbours, order and versions do not move its vectors.

    Embeds built-in texts, pictures and a clip alone, in a mixed batch and in the reverse order.
    Exits with 1 if more than rounding changes.
    """
    from rich.console import Console

    from unite.check import check_model, compare_golden, write_golden
    from unite.model.checkpoint import load_model

    loaded = load_model(model, dtype=dtype)
    found = check_model(loaded)
    stored = compare_golden(golden, found) if golden else {}
    same = all(part.within(found.dtype) for part in stored.values())
    if json_:
        row = _facts(loaded) | {
            "drift": {name: asdict(part) for name, part in found.drift.items()},
            "golden": {name: asdict(part) for name, part in stored.items()},
            "sound": found.sound,
            "same": same if golden else None,
        }
        typer.echo(json.dumps(row))
    else:
        _print_facts(_facts(loaded))
        Console().print(_table(found, stored))
        typer.echo(_verdict(found, stored, same))
    if save_golden is not None and found.sound:
        write_golden(save_golden, found)
    if not (found.sound and same):
        raise typer.Exit(1)


@app.command("merge")
def merge(
    base: Annotated[str, typer.Argument(help="The model that the adapter was trained on.")],
    adapter: Annotated[Path, typer.Argument(help="A LoRA directory in peft's format.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The new model directory.")],
    dtype: Dtype = None,
) -> None:
    """Add an adapter to the weights of its model and write the whole."""
    _convert(base, out, adapter, dtype)


@app.command("convert")
def convert(
    model: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="The new model directory.")],
    dtype: Dtype = None,
) -> None:
    """Write a model so that unite, sentence-transformers and transformers all open it."""
    _convert(model, out, None, dtype)


def _convert(model: str, out: Path, adapter: Path | None, dtype: str | None) -> None:
    from unite.model.convert import convert as rewrite

    notes = rewrite(model, out, adapter=adapter, dtype=dtype)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(out)


def _facts(model: Model) -> dict[str, Any]:
    weights = model.encoder.state_dict()
    return {
        "model": model.name,
        "id": model.id,
        "backbone": model.encoder.config.to_json()["model_type"],
        "dim": model.dim,
        "tensors": len(weights),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "policy": model.policy.to_json(),
    }


def _print_facts(row: dict[str, Any]) -> None:
    for name, value in row.items():
        typer.echo(f"{name:<12}{value if not isinstance(value, dict) else ''}")
        for key, part in value.items() if isinstance(value, dict) else ():
            typer.echo(f"  {key:<14}{part}")


def _table(found: Check, stored: dict[str, Difference]) -> Table:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False)
    grid.add_column("built-in item")
    for name in ("alone or in a batch", "cosine", *(("stored", "cosine") if stored else ())):
        grid.add_column(name, justify="right")
    for name, drift in found.drift.items():
        parts = [drift, stored[name]] if stored else [drift]
        cells = [(f"{part.largest:.1e}", f"{part.cosine:.6f}") for part in parts]
        grid.add_row(name, *itertools.chain.from_iterable(cells))
    return grid


def _verdict(found: Check, stored: dict[str, Difference], same: bool) -> str:
    worst = max(part.largest for part in found.drift.values())
    words = "do not move" if found.sound else "MOVE"
    lines = [f"Neighbours and order {words} its vectors: {worst:.1e} at most ({found.dtype})."]
    if stored:
        worst = max(part.largest for part in stored.values())
        words = "are those stored" if same else "DIFFER from those stored"
        lines.append(f"The vectors {words}: {worst:.1e} apart at most.")
    return "\n".join(lines)
