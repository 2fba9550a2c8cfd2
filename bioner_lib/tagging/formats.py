"""Writing documents with entities, one after the other, in formats that other tools read.

    jsonl      one sentence per line, with the fields of BioNER-DS and characters
    pubtator   title, abstract, one line per entity
    bioc.xml, bioc.json
    brat       a folder: id.txt and id.ann for each document
    conll      one word per line; of overlapping entities the most probable one

A writer that opens an unfinished output keeps its whole documents and goes on behind them. Of the
formats that are lines it writes the last document again, as a kill may have cut it.
"""

import shutil
from pathlib import Path

from ..errors import unknown
from .bioc_writers import BiocJsonWriter, BiocXmlWriter
from .brat_writer import BratWriter
from .line_writers import ConllWriter, JsonlWriter, PubtatorWriter

FORMATS = {
    "jsonl": JsonlWriter,
    "pubtator": PubtatorWriter,
    "bioc.xml": BiocXmlWriter,
    "bioc.json": BiocJsonWriter,
    "brat": BratWriter,
    "conll": ConllWriter,
}


def open_writer(format: str, path: str | Path, whole: bool = False, replace: bool = False):
    """A writer (see `writing.Writer`), to be used in a `with` block.

    `whole` says that an earlier writer of this output was closed, so that its end isn't cut;
    `replace` deletes an earlier output of this format first.

    Raises WorkbookError for an unknown format, and for an output that is something else.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    writer = FORMATS[format](Path(path), whole)
    if not replace:
        return writer
    # it was opened once, which refuses what is no such output
    with writer:
        pass
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink(missing_ok=True)
    return FORMATS[format](Path(path))
