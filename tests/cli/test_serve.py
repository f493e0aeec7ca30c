import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from tests.cli.conftest import Unite


def test_it_serves_until_it_is_told_to_end(tiny: Path) -> None:
    command = [sys.executable, "-m", "unite.cli.main", "serve", "-m", str(tiny)]
    with subprocess.Popen(
        [*command, "--port", "0", "--workers", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        address = None
        while address is None:
            line = process.stderr.readline()
            assert line, "it ended"
            address = re.search(r"http://127\.0\.0\.1:\d+", line)
        with httpx2.Client(base_url=address[0], timeout=200) as client:
            answer = client.post("/v1/embeddings", json={"input": "a red star"})
            assert len(answer.json()["data"][0]["embedding"]) == 32
        process.send_signal(signal.SIGTERM)
        assert process.wait(200) == 0
        assert process.stderr.read() == ""


def test_beyond_loopback_a_token_is_demanded(unite: Unite, tmp_path: Path) -> None:
    result = unite("serve", "--host", "0.0.0.0", "--port", 0)
    assert "--token-file" in str(result.exception)
    short = tmp_path / "token"
    short.write_text("secret\n")
    result = unite("serve", "--host", "0.0.0.0", "--port", 0, "--token-file", short)
    assert "short" in str(result.exception)


def test_a_port_in_use_is_told_before_a_model_is_loaded(unite: Unite, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = unite("serve", "--port", taken.getsockname()[1], "-l", tmp_path / "none")
    assert "--port" in str(result.exception)


def test_without_its_libraries_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; from unite.cli.main import run; "
        "sys.argv = ['unite', 'serve']; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "unite-embed[serve]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nothing_of_the_server_is_imported_by_other_verbs() -> None:
    code = "import sys, json, unite.cli.main; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert not {"fastapi", "uvicorn", "starlette"} & set(loaded)


@pytest.mark.parametrize("option", ["--library", "--host", "--port", "--model", "--token-file"])
def test_the_options_are_these(unite: Unite, option: str) -> None:
    assert option in unite("serve", "--help").output
