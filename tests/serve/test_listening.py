import socket

import pytest

from unite.errors import UniteError
from unite.serve.listening import listen


def test_answers_are_not_held_back_by_nagle() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        wire, _ = listener.accept()
        with wire:
            assert wire.proto == socket.IPPROTO_TCP  # by which asyncio knows it


def test_a_taken_port_is_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UniteError, match="--port"):
            listen("127.0.0.1", port)
    listen("127.0.0.1", port).close()
