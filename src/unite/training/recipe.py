"""A training recipe: everything that decides a run."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unite.data.mixture import Batches, parse_kind
from unite.data.sources import Source, shards
from unite.errors import DataError, RecipeError, did_you_mean
from unite.paths import expanded


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class BackboneRecipe(_Part):
    """Shapes of a model that starts from random weights."""

    width: int = Field(96, gt=0)
    mlp_width: int = Field(256, gt=0)
    depth: int = Field(2, gt=0)
    heads: int = Field(4, gt=0)
    kv_heads: int = Field(2, gt=0)
    vision_width: int = Field(64, gt=0)
    vision_depth: int = Field(2, gt=0)
    vision_heads: int = Field(4, gt=0)
    vocabulary: int = Field(640, gt=0)
    side: int = Field(
        84, gt=0, description="pictures and frames are brought to about this many pixels²"
    )
    nframes: int = Field(4, gt=0)
    max_tokens: int = Field(1024, gt=0)
    init_std: float = Field(0.05, ge=0)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        # Rotation takes the dimensions of a head in pairs, the vision tower's in pairs of pairs.
        if self.width % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("width must be a multiple of 2 heads, and heads one of kv_heads")
        if self.vision_width % (4 * self.vision_heads):
            raise ValueError("vision_width must be a multiple of 4 vision_heads")
        return self


class LoraRecipe(_Part):
    """Low-rank adapters on the language model; the vision tower stays as it is."""

    rank: int = Field(8, gt=0)
    alpha: int = Field(16, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)


class ModelRecipe(_Part):
    """What training starts from: a model, or random weights of given shapes.

    `positions` and `pooling` are those of the start, or plain positions and the last token, unless
    they are said.
    """

    start: str | None = None
    scratch: BackboneRecipe | None = None
    positions: Literal["1d", "mrope"] | None = None
    pooling: Literal["last", "mean"] | None = None
    lora: LoraRecipe | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.start is None) == (self.scratch is None):
            raise ValueError("give either model.start (a model) or model.scratch (shapes)")
        return self

    @model_validator(mode="after")
    def _steps_are_kept(self) -> Self:
        if self.dtype == "bfloat16" and self.lora is None:
            raise ValueError(
                "weights in bfloat16 have 8 bits, and most steps are too small to change them: "
                "set model.lora, whose adapters are float32, or model.dtype to float32"
            )
        return self


class SourceRecipe(_Part):
    """Where pairs come from: see `unite.data.sources.Source`. A plain path will do."""

    path: Path
    kind: str | None = None
    subset: str | None = None
    split: str | None = None
    media: Path | None = None
    instruction: str | None = None
    query: str | None = None
    candidate: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str | Path) else given


class DataRecipe(_Part):
    """The sources and how batches are drawn from them.

    `root` is what the paths of `sources` are relative to; `weights` gives every source's share of
    a batch (none, or zeros alone: by its size), `modality_weights` multiplies the shares of
    pairs of modalities such as `text→image`. `batches` says what a global batch is made of; in a
    mixed one a target modality has at least `g_min` rows or none. `keep_decoded` keeps all media
    decoded in one file, `vision_cache` the visual tokens of a frozen vision tower in a folder. An
    item longer than `max_tokens` is bad; more than `max_bad_share` of bad samples stop the run.
    """

    root: Path
    sources: dict[str, SourceRecipe]
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    modality_weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    batches: Batches = "mixed"
    g_min: int = Field(0, ge=0)
    frames: int | None = Field(None, gt=0, description="a fixed number of frames a clip")
    max_tokens: int | None = Field(None, gt=0)
    max_bad_share: float = Field(0.01, ge=0, le=1)
    keep_decoded: bool = False
    vision_cache: Path | None = None

    @model_validator(mode="after")
    def _weights_match(self) -> Self:
        for name in self.weights:
            if name not in self.sources:
                raise ValueError(f"weight of unknown source. {did_you_mean(name, self.sources)}")
        for name in self.sources:
            if name not in self.weights and any(self.weights.values()):
                raise ValueError(
                    f"weights say nothing of {name!r}: give it one, or 0 to leave it out"
                )
        for label in self.modality_weights:
            try:
                parse_kind(label)
            except DataError as error:
                raise ValueError(str(error)) from error
        if self.keep_decoded and self.vision_cache:
            raise ValueError("keep_decoded and vision_cache both keep media: choose one")
        if self.g_min and self.batches != "mixed":
            raise ValueError("g_min is for mixed batches: take it away, or set batches to mixed")
        return self

    def place(self, path: str | Path = "") -> Path:
        """Where a path of the recipe is: `~` written out, under the root unless it is absolute."""
        return expanded(self.root) / expanded(path)


class LossRecipe(_Part):
    """The objective: the mask of MAMCL or not, one direction or both, the temperature.

    With `temperature_bounds` the temperature is learned. `mask_by_query` is the other reading of
    the mask in the symmetric form.
    """

    temperature: float = Field(0.03, gt=0)
    temperature_bounds: tuple[float, float] | None = None
    masked: bool = True
    symmetric: bool = False
    mask_by_query: bool = False
    blend: float = Field(0.0, ge=0, le=1)
    hard_negatives: bool = True

    @model_validator(mode="after")
    def _holds(self) -> Self:
        bounds = self.temperature_bounds
        if bounds and not 0 < bounds[0] <= self.temperature <= bounds[1]:
            raise ValueError(f"temperature {self.temperature} is not within {bounds}")
        if self.mask_by_query and not (self.masked and self.symmetric):
            raise ValueError("mask_by_query is a reading of the masked symmetric loss")
        return self


class OptimiserRecipe(_Part):
    """AdamW, or Muon for matrices and AdamW for the rest; cosine decay; batch size and length.

    A run is `steps` long or, without them, `epochs` over all rows that may be drawn.
    `accumulation` global batches make one step, each with its own negatives. `released_processes`
    gives the update of the released code on so many processes, whose gradient was divided by their
    number: clipping and epsilon are scaled with it.
    """

    learning_rate: float = Field(1e-4, gt=0)
    muon_learning_rate: float = Field(0.0, ge=0, description="of matrices; 0: no Muon")
    batch_size: int = Field(128, gt=0, description="pairs of a global batch")
    steps: int | None = Field(None, gt=0)
    epochs: float | None = Field(None, gt=0)
    accumulation: int = Field(1, gt=0)
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0, allow_inf_nan=True, description="0 or inf: as it is")
    epsilon: float = Field(1e-8, gt=0, description="of AdamW")
    released_processes: int | None = Field(None, gt=0)
    seed: int = Field(0, ge=0, lt=1 << 32)

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.released_processes and self.muon_learning_rate:
            raise ValueError("released_processes is about AdamW: set muon_learning_rate to 0")
        return self

    def length(self, rows: int) -> int:
        """Steps of a run over so many rows.

        Raises:
            RecipeError: An epoch is shorter than a step.
        """
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        steps = int(self.epochs * rows) // (self.batch_size * self.accumulation)
        if not steps:
            raise RecipeError(
                f"{self.epochs:g} epochs over {rows} rows do not fill one step of "
                f"{self.batch_size * self.accumulation}.",
                "Lower optimiser.batch_size, or set optimiser.steps.",
            )
        return steps


class RunRecipe(_Part):
    """How the run is carried out; none of it changes what is learned.

    With `chunk_tokens` a process's part of a batch goes through the network in chunks of about so
    many tokens, twice; `keep_bytes` of visual tokens or pixels are kept between. `workers` decode.
    """

    processes: int = Field(1, gt=0)
    threads: int | None = Field(None, gt=0)
    workers: int = Field(0, ge=0)
    decode_seconds: float = Field(120.0, gt=0)
    chunk_tokens: int | None = Field(None, gt=0)
    keep_bytes: int = Field(1 << 30, ge=0)
    gradient_checkpointing: bool = False
    trackers: tuple[str, ...] = ("tensorboard",)
    log_every: int = Field(20, gt=0)
    save_every: int = Field(200, gt=0)

    @model_validator(mode="after")
    def _one_saving(self) -> Self:
        if self.chunk_tokens and self.gradient_checkpointing:
            raise ValueError(
                "chunk_tokens and gradient_checkpointing both compute everything twice; "
                "together they would do so four times: choose one"
            )
        return self


class Recipe(_Part):
    """One stage of training."""

    stage: Literal["retrieval-adaptation", "instruction-tuning"]
    model: ModelRecipe
    data: DataRecipe
    loss: LossRecipe = LossRecipe()
    optimiser: OptimiserRecipe
    run: RunRecipe = RunRecipe()

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if self.optimiser.batch_size < self.run.processes:
            raise ValueError("optimiser.batch_size must be at least run.processes")
        if self.data.g_min > self.optimiser.batch_size:
            raise ValueError("data.g_min rows of a modality do not fit into optimiser.batch_size")
        if self.data.vision_cache and self.model.lora is None:
            raise ValueError("data.vision_cache needs a frozen vision tower: set model.lora")
        return self


def sources_of(recipe: Recipe) -> dict[str, Source]:
    """The sources that a recipe takes anything from, by name.

    Raises:
        RecipeError: One is missing; the nearest name beside it is suggested.
    """
    found = {}
    for name, given in recipe.data.sources.items():
        if not recipe.data.weights.get(name, 1.0):
            continue
        row = given.model_dump()
        for key in ("path", "media"):
            if row[key] is not None:
                row[key] = recipe.data.place(row[key])
        if given.kind == "hf" and not row["path"].exists():
            row["path"] = given.path  # a name on the hub
        elif given.kind != "webdataset" and not given.path.name.endswith(shards.SUFFIXES):
            _must_exist(name, row["path"])
        found[name] = Source(**row)
    return found


def _must_exist(name: str, path: Path) -> None:
    if not path.exists():
        there = [entry.name for entry in path.parent.glob("*.json*")]
        near = get_close_matches(path.name, there, 1)
        remedy = f"Did you mean {near[0]!r}? " if near else ""
        raise RecipeError(
            f"The source {name!r} is not there: {path}.",
            f"{remedy}Set data.root to the folder of the data: --set data.root=FOLDER.",
        )
