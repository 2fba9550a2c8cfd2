"""BioC, in XML and in JSON (library: bioc). Each document is one passage."""

import json
import re
from collections.abc import Iterator

import bioc
from bioc import biocjson, biocxml

from ..corpora.documents import Document
from .writing import Writer, for_xml, refuse_again


def to_bioc(document: Document) -> bioc.BioCDocument:
    """A document with one passage; type and score are infons of each annotation."""
    made = bioc.BioCDocument()
    made.id = for_xml(document.id)
    passage = bioc.BioCPassage()
    passage.offset, passage.text = 0, for_xml(document.text)
    for number, entity in enumerate(document.entities, 1):
        annotation = bioc.BioCAnnotation()
        annotation.id = f"T{number}"
        annotation.infons = {
            "type": for_xml(entity["entity_group"]),
            "score": f"{entity['score']:.4f}",
        }
        start, end = entity["start"], entity["end"]
        annotation.add_location(bioc.BioCLocation(start, end - start))
        annotation.text = passage.text[start:end]
        passage.add_annotation(annotation)
    made.add_passage(passage)
    return made


class _BiocWriter(Writer):
    """A collection: its head, its documents, its end, which is written last."""

    head = end = between = ""

    def __enter__(self) -> "_BiocWriter":
        super().__enter__()
        self.is_first = self.file.tell() == 0
        if self.is_first:
            self.file.write(self.head.encode())
        return self

    def __exit__(self, *_) -> None:
        self.file.write(self.end.encode())
        super().__exit__()

    def write(self, document: Document) -> None:
        refuse_again(self.key(document.id), self.written)
        between = "" if self.is_first else self.between
        self.file.write((between + self.record(document)).encode())
        self.file.flush()
        self.is_first = False

    def key(self, id: str) -> str:
        return for_xml(id)

    def _end_of_whole_documents(self) -> int:
        content = self.path.read_bytes()
        head = self.head.encode()
        if not content.startswith(head[: len(content)]):  # a kill may have cut the head
            raise self.refuse(content)
        whole = list(self.whole_documents(content))
        self.done.update(id for id, _ in whole)
        return whole[-1][1] if whole else 0

    def whole_documents(self, content: bytes) -> Iterator[tuple[str, int]]:
        """(id, byte behind it) of each whole document."""
        raise NotImplementedError


class BiocXmlWriter(_BiocWriter):
    """Characters that XML can't hold become U+FFFD, one for one."""

    head = "<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<collection>\n"
    head += "<source>bioner_lib</source><date></date><key></key>\n"
    end = "</collection>\n"

    def record(self, document: Document) -> str:
        collection = bioc.BioCCollection()
        collection.add_document(to_bioc(document))
        text = biocxml.dumps(collection, pretty_print=False)
        return text[text.index("<document>") : text.rindex("</collection>")].strip() + "\n"

    def whole_documents(self, content: bytes) -> Iterator[tuple[str, int]]:
        for match in re.finditer(rb"<document>.*?</document>\n", content, re.DOTALL):
            (document,) = biocxml.loads(self._one(match[0])).documents
            yield document.id or "", match.end()

    def _one(self, document: bytes) -> str:
        return f"<collection><source/><date/><key/>{document.decode()}</collection>"


class BiocJsonWriter(_BiocWriter):
    """One document per line, inside the collection's brackets."""

    head = '{"source": "bioner_lib", "date": "", "key": "", "infons": {}, "documents": [\n'
    end = "\n]}\n"
    between = ",\n"

    def record(self, document: Document) -> str:
        return json.dumps(json.loads(biocjson.dumps(to_bioc(document))))

    def whole_documents(self, content: bytes) -> Iterator[tuple[str, int]]:
        at = len(self.head)
        for line in content[at:].split(b"\n"):
            stripped = line.removesuffix(b",")
            try:
                record = json.loads(stripped)
            except ValueError:
                return
            yield record["id"], at + len(stripped)
            at += len(line) + 1
