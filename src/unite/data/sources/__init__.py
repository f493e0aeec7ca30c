"""Where training pairs come from: released sets, MMEB, Hugging Face, WebDataset, folders."""

from unite.data.sources.reading import fingerprint, read_source
from unite.data.sources.source import KINDS, Source

__all__ = ["KINDS", "Source", "fingerprint", "read_source"]
