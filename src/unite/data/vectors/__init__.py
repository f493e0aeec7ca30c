"""Vector files: written in parts that survive a kill, read back whatever their precision."""

from unite.data.vectors.digest import Watched
from unite.data.vectors.job import Outcome, Work, embed_file, embed_stream, embed_with
from unite.data.vectors.output import Output
from unite.data.vectors.precision import Precision
from unite.data.vectors.reading import Vectors, read_batches, read_vectors
from unite.data.vectors.retry import retry_failed
from unite.data.vectors.rows import Row, embed_rows
from unite.data.vectors.table import Facts, Kind
from unite.data.vectors.writer import Cadence, Entry

__all__ = [
    "Cadence",
    "Entry",
    "Facts",
    "Kind",
    "Outcome",
    "Output",
    "Precision",
    "Row",
    "Vectors",
    "Watched",
    "Work",
    "embed_file",
    "embed_rows",
    "embed_stream",
    "embed_with",
    "read_batches",
    "read_vectors",
    "retry_failed",
]
