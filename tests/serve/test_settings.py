import pytest
from pydantic import ValidationError

from unite.serve.app import create_app
from unite.serve.settings import Settings

from .running import Gated


def test_the_token_is_never_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"queue": 1}, {"max_items": 0}, {"max_item": 3}, {"body_seconds": 0}]
)
def test_what_cannot_hold_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["a*b", "*x.org", "https://x.org", "x.org:443", "x.org/a", "", "*.*"]
)
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no name of a host"):
        Settings(hosts=(name,))


@pytest.mark.parametrize("name", ["*", "*.x.org", "search.x.org", "box", "[::1]", "::1"])
def test_names_of_hosts(name: str) -> None:
    create_app(None, Gated(), Settings(hosts=(name,)))
