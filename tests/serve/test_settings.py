import pytest
from pydantic import ValidationError

from unite.serve.settings import Settings


def test_the_token_is_never_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"queue": 1}, {"max_items": 0}, {"max_item": 3}, {"body_seconds": 0}]
)
def test_what_cannot_hold_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]
