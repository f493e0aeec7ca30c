from __future__ import annotations

from collections import Counter

from unite.world.demo import DemoMaker

from .conftest import World
from .reader import read_edit, read_fine, read_story_edit


def test_the_library_is_mixed_and_about_forty(world: World) -> None:
    kinds = Counter(path.suffix for path in (world.root / "demo" / "library").iterdir())
    assert set(kinds) == {".txt", ".png", ".mp4"}
    assert 35 <= kinds.total() <= 45
    assert min(kinds.values()) >= 10


def test_files_are_named_for_what_they_show(world: World) -> None:
    for medium in world.plan.demo.media:
        if medium.path.startswith("demo/library/"):
            words = medium.path.rsplit("/", 1)[1].split(".")[0].split("-")
            for thing in medium.scene.things:
                assert {thing.colour, thing.shape} <= set(words)
            assert all(motion.kind in words for motion in medium.scene.motions)


def test_notes_tell_of_a_file_in_the_library(world: World) -> None:
    scenes = {medium.scene for medium in world.plan.demo.media}
    assert all(read_fine(text) in scenes for text in world.plan.demo.notes.values())


def test_six_searches_whose_files_exist(world: World) -> None:
    queries = world.load("demo/queries.json")
    assert len(queries) == 6
    for query in queries:
        assert query.keys() - {"only"} == {"title", "item", "expect"}
        paths = [query["item"][key] for key in ("image", "video") if key in query["item"]]
        assert all((world.root / "demo" / path).is_file() for path in (*paths, *query["expect"]))
        suffixes = {"image": ".png", "video": ".mp4"}
        if "only" in query:
            wanted = {suffixes[kind] for kind in query["only"]}
            assert all(path[-4:] in wanted for path in query["expect"])


def test_expectations_are_all_that_fit(world: World) -> None:
    queries = world.load("demo/queries.json")
    media = {medium.path.removeprefix("demo/"): medium.scene for medium in world.plan.demo.media}
    library = {path: scene for path, scene in media.items() if path.startswith("library/")}
    notes = {path.removeprefix("demo/"): text for path, text in world.plan.demo.notes.items()}
    told = {path: read_fine(text) for path, text in notes.items()}
    items = [query["item"] for query in queries]
    wanted = [
        read_fine(items[0]["text"]),
        read_fine(items[1]["text"]),
        read_fine(items[2]["text"]),
        None,
        read_edit(media["queries/picture.png"], items[4]["text"]),
        read_story_edit(media["queries/clip.mp4"], items[5]["text"]),
    ]
    for query, scene in zip(queries, wanted, strict=True):
        files = library if "only" in query else {**library, **told}
        fits = {path for path, each in files.items() if each == scene}
        if scene is None:
            start = media["queries/still.png"].things
            fits = {p for p, each in library.items() if each.things == start and each.motions}
        assert fits == set(query["expect"])


def test_sources_of_the_changes_lie_in_the_library_too(world: World) -> None:
    media = {medium.path: medium.scene for medium in world.plan.demo.media}
    library = {scene for path, scene in media.items() if path.startswith("demo/library/")}
    assert media["demo/queries/picture.png"] in library
    assert media["demo/queries/clip.mp4"] in library


def test_the_demo_shows_no_held_out_combination(world: World) -> None:
    assert all(medium.scene.is_seen for medium in world.plan.demo.media)


def test_names_stay_unique_for_many_seeds() -> None:
    for seed in range(20):
        demo = DemoMaker(seed, set()).make()
        paths = [*(medium.path for medium in demo.media), *demo.notes]
        assert len(set(paths)) == len(paths)
