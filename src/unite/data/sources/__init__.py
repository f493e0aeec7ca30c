"""Where training pairs come from: released sets, MMEB, Hugging Face, WebDataset, folders."""

from unite.data.sources.reading import fingerprint, read_placed, read_source, source_files
from unite.data.sources.recognise import recognise
from unite.data.sources.source import KINDS, Source

__all__ = [
    "KINDS",
    "Source",
    "fingerprint",
    "read_placed",
    "read_source",
    "recognise",
    "source_files",
]
