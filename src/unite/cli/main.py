"""The command `unite`: joins the verbs; each imports its heavy parts when it runs."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from unite import __version__
from unite.cli.bench import app as bench_app
from unite.cli.data import app as data_app
from unite.cli.demo import demo
from unite.cli.embed import embed
from unite.cli.eval import app as eval_app
from unite.cli.index import index
from unite.cli.model import app as model_app
from unite.cli.search import search
from unite.cli.serve import serve
from unite.cli.study import study
from unite.cli.train import train
from unite.cli.world import world
from unite.errors import UniteError

INTERRUPTED = 130
_OF_A_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO)
app = typer.Typer(
    name="unite",
    help="One embedder for text, images, video and any mix of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (embed, index, search, serve, train, study, world, demo):
    app.command(verb.__name__)(verb)
app.add_typer(bench_app, name="bench")
app.add_typer(data_app, name="data")
app.add_typer(eval_app, name="eval")
app.add_typer(model_app, name="model")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One embedder for text, images, video and any mix of them."""
    # Spinning barriers make small models up to 16 times slower when a core is busy; read by
    # OpenMP when torch is first imported, so it is set here, before any verb does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


def _how_to_go_on(words: list[str]) -> str:
    """What a verb that keeps its work is told; others begin anew, which nobody needs to be told."""
    verbs = words[:2] if words[:1] in (["data"], ["eval"]) else words[:1]
    if verbs == ["train"]:
        return "; the same with --resume goes on"
    kept = (["embed"], ["index"], ["study"], ["world"], ["demo"], ["data", "mine"], ["eval", "run"])
    return "; the same again goes on" if verbs in kept else ""


def run() -> None:
    """Run the command line; a failure that the user can mend is one line and exit code 1."""
    try:
        app()
    except UniteError as error:
        typer.echo(f"unite: {error}", err=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED and "RANK" not in os.environ:
            typer.echo(f"unite: interrupted{_how_to_go_on(sys.argv[1:])}", err=True)
        raise
    except BrokenPipeError:
        # The reader of our output has gone; that is its right. Nothing may be flushed to it now.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.strerror is None or (error.filename is None and error.errno not in _OF_A_DISK):
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        remedy = "Check the path, its rights and the space that is left."
        typer.echo(f"unite: {place}{error.strerror}. {remedy}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
