"""`unite serve`: embeddings, search and the page over HTTP."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    from pydantic import SecretStr

    from unite.embedder import Embedder
    from unite.library.library import Library
    from unite.serve.settings import Settings

GRACE = 30
"""Seconds that requests under way have to end."""


def serve(
    library: Annotated[
        Path | None,
        typer.Option("--library", "-l", help="The library's folder. None: embeddings only."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Default: the library's own, or mini."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Clients must present what this file holds. Needed beyond loopback."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which it is called, as by a proxy."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode; by default one a core. 0: threads."),
    ] = None,
) -> None:
    """Serve a library: a page to search it, and an interface that OpenAI's clients speak."""
    _check_installed()
    from unite.serve.listening import listen

    settings = _settings(host, token_file, allow_host or [])
    with listen(host, port) as listener:  # taken before a model is loaded for it
        opened, encoder = _open(library, model, workers, settings)
        with encoder:
            _run(opened, encoder, settings, listener)


def _check_installed() -> None:
    from importlib.util import find_spec

    from unite.errors import UniteError

    needed = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UniteError(
            f"unite serve needs {', '.join(missing)}.", 'Run: pip install "unite-embed[serve]"'
        )


def _settings(host: str, token_file: Path | None, names: list[str]) -> Settings:
    from unite.errors import UniteError
    from unite.serve.settings import LOOPBACK, Settings

    token = None if token_file is None else _token(token_file)
    for name in names:
        _check_name(name)
    if host in LOOPBACK:
        return Settings(token=token, hosts=(*LOOPBACK, *names))
    if token is None:
        raise UniteError(
            f"At {host} others can reach the library.",
            "Demand a token: --token-file FILE. Or stay at 127.0.0.1.",
        )
    typer.echo(
        "Tokens and pictures travel in the open: put TLS before it, such as\n"
        "  caddy reverse-proxy --from search.example.com --to 127.0.0.1:8080",
        err=True,
    )
    return Settings(token=token, hosts=tuple(names) or ("*",))


def _check_name(name: str) -> None:
    from pydantic import ValidationError

    from unite.errors import UniteError
    from unite.serve.settings import Settings

    try:
        Settings(hosts=(name,))
    except ValidationError as error:
        raise UniteError(
            f"--allow-host {name!r} is no name of a host.",
            "Write search.example.com, or *.example.com for all beneath; no scheme, no port.",
        ) from error


def _token(file: Path) -> SecretStr:
    from pydantic import SecretStr

    from unite.errors import UniteError

    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UniteError(f"{file} cannot be read: {error}.") from error
    if len(token) < 16:
        raise UniteError(f"The token in {file} is short.", f"openssl rand -hex 32 > {file}")
    return SecretStr(token)


def _open(
    path: Path | None, model: str | None, workers: int | None, settings: Settings
) -> tuple[Library | None, Embedder]:
    from unite.embedder import Embedder
    from unite.library.library import Library
    from unite.media.pool import cores

    library = None if path is None else Library.open(path)
    name = model or (library.facts.model if library else "mini")
    typer.echo(f"loading {name} …", err=True)
    encoder = Embedder.open(
        name,
        limits=settings.media,
        workers=cores() if workers is None else workers,
        seconds=60.0,
    )
    if library is not None:
        library.check(encoder.model_id, encoder.dim)
    return library, encoder


def _run(
    library: Library | None, encoder: Embedder, settings: Settings, listener: socket.socket
) -> None:
    import uvicorn

    from unite.serve.app import create_app

    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    what = "embeddings only" if library is None else f"{library.path}"
    typer.echo(f"serving {what} at http://{shown}:{port} (Ctrl-C ends)", err=True)
    config = uvicorn.Config(
        create_app(library, encoder, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    # Uvicorn raises again the signal that ended it; then what is open is closed here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
