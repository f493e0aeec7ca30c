"""`unite model`: what a model is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(help="Look at a model.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Look at a model."""


@app.command("info")
def info(
    model: Annotated[str, typer.Argument(help="Directory, alias or hub id.")],
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Print all that shapes a model's vectors. Loading it proves that its weights are whole."""
    from unite.model.checkpoint import load_model

    loaded = load_model(model)
    weights = loaded.encoder.state_dict()
    row = {
        "model": model,
        "id": loaded.id,
        "dim": loaded.dim,
        "tensors": len(weights),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "policy": loaded.policy.to_json(),
    }
    if json_:
        typer.echo(json.dumps(row))
        return
    card = (loaded.directory / "README.md") if loaded.directory else None
    for name, value in row.items():
        typer.echo(f"{name:<12}{value if not isinstance(value, dict) else ''}")
        for key, part in value.items() if isinstance(value, dict) else ():
            typer.echo(f"  {key:<14}{part}")
    if card is not None and card.exists():
        typer.echo(f"\n{card.read_text(encoding='utf-8')}")
