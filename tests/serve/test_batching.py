import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from unite.serve import batching
from unite.serve.batching import LETTERS, Batcher
from unite.serve.faults import RequestError
from unite.types import Item

from .running import Gated, vector_of

TEXTS = [["a" * (length + part) for part in range(3)] for length in range(1, 30, 3)]


@pytest.fixture
def encoder() -> Gated:
    return Gated(is_open=False)


@pytest.fixture
def batcher(encoder: Gated) -> Iterator[Batcher]:
    batcher = Batcher(encoder, wait=0.05, batch=16, queue=40)
    yield batcher
    encoder.gate.set()
    encoder.media_gate.set()
    batcher.close()


def items(*texts: str) -> list[Item]:
    return [Item(text=text) for text in texts]


def test_everybody_gets_his_own_and_few_batches_are_made(encoder: Gated, batcher: Batcher) -> None:
    encoder.gate.set()

    async def ask() -> None:
        found = await asyncio.gather(*(batcher.embed(items(*texts)) for texts in TEXTS))
        for texts, results in zip(TEXTS, found, strict=True):
            for text, result in zip(texts, results, strict=True):
                assert result.vector is not None
                np.testing.assert_array_equal(result.vector, vector_of(text))

    asyncio.run(ask())
    assert sum(encoder.batches) == 30
    assert max(encoder.batches) == 16
    assert len(encoder.batches) <= 4


def test_words_do_not_wait_for_media(encoder: Gated, batcher: Batcher) -> None:
    encoder.gate.set()

    async def ask() -> bool:
        film = asyncio.create_task(batcher.embed([Item(images=("x",))]))
        await asyncio.wait_for(batcher.embed(items("words")), 10)
        was_done = film.done()
        encoder.media_gate.set()
        await film
        return was_done

    assert asyncio.run(ask()) is False


def test_a_full_queue_turns_away_and_takes_again(encoder: Gated, batcher: Batcher) -> None:
    async def ask() -> None:
        waiting = asyncio.create_task(batcher.embed(items(*["a"] * 40)))
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as turned_away:
            await batcher.embed(items("b"))
        assert turned_away.value.status == 429
        assert turned_away.value.retry_after
        encoder.gate.set()
        assert len(await waiting) == 40
        assert batcher.waiting == 0
        assert len(await batcher.embed(items("b"))) == 1

    asyncio.run(ask())


def test_who_left_is_not_embedded(encoder: Gated, batcher: Batcher) -> None:
    async def ask() -> None:
        first = asyncio.create_task(batcher.embed(items("a")))
        await asyncio.to_thread(encoder.begun.wait, 10)
        gone = asyncio.create_task(batcher.embed(items("boom")))
        await asyncio.sleep(0)
        gone.cancel()
        encoder.gate.set()
        await first
        assert len(await batcher.embed(items("b"))) == 1

    asyncio.run(ask())
    assert batcher.waiting == 0


def test_who_left_holds_no_place(encoder: Gated, batcher: Batcher) -> None:
    async def ask() -> None:
        first = asyncio.create_task(batcher.embed(items("a")))
        await asyncio.to_thread(encoder.begun.wait, 10)
        gone = asyncio.create_task(batcher.embed(items(*["boom"] * 39)))
        await asyncio.sleep(0)
        assert batcher.waiting == 40
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert batcher.waiting == 1
        late = asyncio.create_task(batcher.embed(items("b")))
        encoder.gate.set()
        assert len(await first) == len(await late) == 1

    asyncio.run(ask())


def test_what_waits_already_gets_company_too(encoder: Gated) -> None:
    batcher = Batcher(encoder, wait=5, batch=2, queue=40)

    async def ask() -> None:
        first = asyncio.create_task(batcher.embed(items("a", "a")))  # full: at once
        await asyncio.to_thread(encoder.begun.wait, 10)
        waiting = asyncio.create_task(batcher.embed(items("b")))
        await asyncio.sleep(0)
        encoder.gate.set()
        await first
        await batcher.embed(items("c"))
        await waiting

    asyncio.run(ask())
    batcher.close()
    assert encoder.batches == [2, 2]


def test_all_may_leave_while_one_waits_for_company(encoder: Gated) -> None:
    batcher = Batcher(encoder, wait=0.5, batch=16, queue=40)

    async def ask() -> None:
        for _ in range(3):
            gone = asyncio.create_task(batcher.embed(items("boom")))
            await asyncio.sleep(0.01)
            gone.cancel()
        encoder.gate.set()
        assert len(await asyncio.wait_for(batcher.embed(items("b")), 30)) == 1

    asyncio.run(ask())
    batcher.close()


def test_a_query_does_not_wait_for_all_of_many_long_texts(encoder: Gated, batcher: Batcher) -> None:
    book = "a" * (LETTERS + 1)

    async def ask() -> None:
        books = asyncio.create_task(batcher.embed(items(*[book] * 20)))
        await asyncio.to_thread(encoder.begun.wait, 10)
        query = asyncio.create_task(batcher.embed(items("b", "c")))
        await asyncio.sleep(0)
        encoder.gate.set()
        (one, two), read = await query, await books
        for text, result in (("b", one), ("c", two), *((book, result) for result in read)):
            assert result.vector is not None
            np.testing.assert_array_equal(result.vector, vector_of(text))

    asyncio.run(ask())
    assert encoder.batches == [1, 1, 2, *[1] * 18]


def test_what_is_too_long_for_a_batch_goes_first_in_the_next(
    encoder: Gated, batcher: Batcher
) -> None:
    async def ask() -> list[int]:
        first = asyncio.create_task(batcher.embed(items("a")))
        await asyncio.to_thread(encoder.begun.wait, 10)
        done: list[int] = []
        texts = ["b", "b" * LETTERS, "b" * LETTERS, "bb", "bbb"]
        asked = [asyncio.create_task(batcher.embed(items(text))) for text in texts]
        for number, task in enumerate(asked):
            task.add_done_callback(lambda _, number=number: done.append(number))
        await asyncio.sleep(0)
        encoder.gate.set()
        await asyncio.gather(first, *asked)
        return done

    assert asyncio.run(ask()) == [0, 3, 4, 1, 2]
    assert encoder.batches == [1, 3, 1, 1]


def test_a_failing_model_fails_those_who_wait_and_goes_on(encoder: Gated, batcher: Batcher) -> None:
    encoder.gate.set()

    async def ask() -> None:
        with pytest.raises(RuntimeError):
            await batcher.embed(items("boom"))
        assert len(await batcher.embed(items("a"))) == 1

    asyncio.run(ask())


def test_the_end_finishes_what_waits(encoder: Gated, batcher: Batcher) -> None:
    async def ask() -> None:
        waiting = asyncio.create_task(batcher.embed(items(*["a"] * 33)))
        await asyncio.to_thread(encoder.begun.wait, 10)
        end = asyncio.create_task(asyncio.to_thread(batcher.close))
        encoder.gate.set()
        assert all(result.vector is not None for result in await waiting)
        await end
        with pytest.raises(RequestError) as ended:
            await batcher.embed(items("late"))
        assert ended.value.status == 503

    asyncio.run(ask())


def test_the_end_does_not_wait_for_an_encoder_that_hangs(
    encoder: Gated, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "ENDING_SECONDS", 0.05)

    async def ask() -> None:
        waiting = asyncio.create_task(batcher.embed(items("a")))
        await asyncio.to_thread(encoder.begun.wait, 100)
        await asyncio.to_thread(batcher.close)
        assert not waiting.done()
        encoder.gate.set()
        await waiting

    asyncio.run(ask())
