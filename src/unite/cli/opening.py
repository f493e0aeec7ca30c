"""Open a hit in the program that the system or the user has for it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import typer

from unite.cli.printable import printable
from unite.errors import MediaError

if TYPE_CHECKING:
    from unite.types import Hit

PLAYERS = {
    "mpv": ("--start={start}",),
    "vlc": ("--start-time={start}",),
    "ffplay": ("-ss", "{start}"),
}
"""Players that begin at a given time, and how they are told."""


def player(hit: Hit) -> list[str] | None:
    """The command that plays a clip from its time; None where nothing calls for one."""
    if hit.start is None:
        return None
    for name, words in PLAYERS.items():
        if (program := shutil.which(name)) is not None:
            return [program, *(word.format(start=f"{hit.start:g}") for word in words), hit.path]
    return None


def open_hit(hit: Hit) -> None:
    """Open a hit, a segment at its time where a player is known that can.

    Raises:
        MediaError: Nothing opens it.
    """
    typer.echo(f"opening {printable(hit.path)}", err=True)
    if (command := player(hit)) is not None:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    elif typer.launch(hit.path) != 0:
        raise MediaError(
            f"Nothing here opens {hit.path}.", "Install a viewer, or open the path yourself."
        )
