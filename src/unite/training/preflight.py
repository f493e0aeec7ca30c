"""What a run needs before it begins: sources, a model, trackers, a free directory.

All that is wrong is found at once, without a download and without loading weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unite.data.sources import Source, fingerprint
from unite.errors import CheckpointError, DataError, RecipeError, UniteError
from unite.media.pixels import PixelPolicy
from unite.media.sampling import FramePolicy
from unite.model.adapters import is_adapter, read_adapter
from unite.model.checkpoint import ALIASES, MINI, locate
from unite.model.config import BackboneConfig, LaterConfig, VisionConfig, read_config
from unite.model.files import read_json, shards
from unite.model.policy import Policy, read_policy
from unite.paths import expanded
from unite.training.recipe import BackboneRecipe, Recipe, SourceRecipe, sources_of
from unite.training.stages import refuse_taken
from unite.training.trackers import tracker_faults


def _qwen2_vl(width: int, mlp: int, heads: int, kv_heads: int, vocabulary: int) -> BackboneConfig:
    return BackboneConfig(
        width=width,
        mlp_width=mlp,
        depth=28,
        heads=heads,
        kv_heads=kv_heads,
        vocabulary=vocabulary,
        max_positions=32768,
        image_token_id=151655,
        video_token_id=151656,
        vision=VisionConfig(depth=32, width=1280, heads=16, mlp_width=5120, out_width=width),
    )


FACTS = {
    "Qwen2-VL-2B": _qwen2_vl(1536, 8960, 12, 2, 151936),
    "Qwen2-VL-7B": _qwen2_vl(3584, 18944, 28, 4, 152064),
}
"""Shapes of backbones on the hub, by what their names hold (their `config.json`, 2024)."""


@dataclass(frozen=True, slots=True)
class Start:
    """What training starts from, as far as it is known before anything is loaded.

    Attributes:
        name: As the recipe has it.
        place: `scratch`; `here`: in `directory`; `hub`: a hub id that is not in the cache.
        directory: Of its weights.
        config: Its shapes; None where they are not known.
        policy: Its pixels and frames; of a hub id that is not here, the published ones.
    """

    name: str
    place: Literal["scratch", "here", "hub"]
    directory: Path | None
    config: BackboneConfig | LaterConfig | None
    policy: Policy


def find_problems(recipe: Recipe, output: Path, *, resume: bool) -> list[str]:
    """Everything that would stop a run before its first step, each with its remedy."""
    faults: list[UniteError] = []
    try:
        refuse_taken(recipe, output, resume=resume)
    except RecipeError as error:
        faults.append(error)
    faults += _source_faults(recipe)
    try:
        start_of(recipe)
    except CheckpointError as error:
        faults.append(error)
    faults += tracker_faults(recipe.run.trackers)
    return [str(fault) for fault in faults]


def start_of(recipe: Recipe) -> Start:
    """Find the model that a run starts from; nothing is downloaded.

    Raises:
        CheckpointError: It is not here and is no hub id, or a file of it is missing.
    """
    if recipe.model.scratch is not None:
        return _scratch(recipe.model.scratch)
    assert recipe.model.start is not None
    return _named(recipe.model.start)


def _scratch(shapes: BackboneRecipe) -> Start:
    from unite.model.scratch import small_policy

    config = BackboneConfig(
        width=shapes.width,
        mlp_width=shapes.mlp_width,
        depth=shapes.depth,
        heads=shapes.heads,
        kv_heads=shapes.kv_heads,
        vocabulary=shapes.vocabulary,
        max_positions=shapes.max_tokens,
        image_token_id=0,
        video_token_id=0,
        vision=VisionConfig(
            depth=shapes.vision_depth,
            width=shapes.vision_width,
            heads=shapes.vision_heads,
            mlp_width=shapes.vision_width * 4,
            out_width=shapes.width,
        ),
    )
    policy = small_policy(shapes.side, shapes.nframes, shapes.max_tokens)
    return Start("random weights", "scratch", None, config, policy)


def _named(name: str) -> Start:
    directory = _directory(name)
    if directory is None:
        hub_id = ALIASES.get(name, name)
        config = next((facts for key, facts in FACTS.items() if key in hub_id), None)
        policy = Policy(pixels=PixelPolicy(), frames=FramePolicy())
        return Start(name, "hub", None, config, policy)
    if is_adapter(directory):
        base = _named(read_adapter(directory).base)
        return Start(name, base.place, base.directory, base.config, base.policy)
    config_here = read_config(read_json(directory / "config.json"))
    for path in shards(directory):
        if not path.is_file():
            raise CheckpointError(f"{directory} lacks {path.name}.", "Copy or download it again.")
    return Start(name, "here", directory, config_here, read_policy(directory, config_here))


def _directory(name: str) -> Path | None:
    """Where a model lies; None for a hub id that is not in the cache."""
    path = expanded(name)
    if name == MINI or path.is_dir():
        return locate(name)
    hub_id = ALIASES.get(name, name)
    if hub_id.endswith("/model"):  # it could be a hub id, but is what a stage leaves
        raise CheckpointError(
            f"The model to start from is not there: {name}.",
            "Train the stage before into that directory, or set model.start.",
        )
    if hub_id.count("/") != 1 or path.is_absolute() or name.startswith("."):
        return locate(name)  # says what is wrong
    return _cached(hub_id)


def _cached(hub_id: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise CheckpointError(f"{hub_id!r} is neither a directory nor a hub id.") from error


def _source_faults(recipe: Recipe) -> Iterator[UniteError]:
    """The faults of every source; a missing root is one, not one for each source."""
    data = recipe.data
    if not data.place().is_dir():
        yield RecipeError(
            f"The folder of the data is not there: {data.root}.", "Set data.root to it."
        )
        return
    for name, given in data.sources.items():
        if not data.weights.get(name, 1.0):
            continue
        try:
            _check_source(recipe, name, given)
        except (RecipeError, DataError) as error:
            yield error


def _check_source(recipe: Recipe, name: str, given: SourceRecipe) -> None:
    alone = recipe.data.model_copy(update={"sources": {name: given}, "weights": {}})
    source: Source = sources_of(recipe.model_copy(update={"data": alone}))[name]
    if source.kind == "hf" and not source.path.exists():
        raise RecipeError(
            f"The source {name!r} is not here: {source.path}. As a name on the hub it may hold, "
            "but a dry run downloads nothing.",
            "Download it and name its folder, to see its plan.",
        )
    if source.media is not None and not source.media.is_dir():
        raise RecipeError(
            f"The media of the source {name!r} are not there: {source.media}.",
            "Set its `media` to their folder.",
        )
    fingerprint(source)  # looks for every file of the source
