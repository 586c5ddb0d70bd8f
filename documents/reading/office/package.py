"""A ZIP file of XML parts, as Word, PowerPoint, OpenDocument and EPUB write it. Sizes are limited while it is read.

No XML parser with entities is used: a part that declares any is refused, and nothing outside the file is ever loaded.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from documents.errors import DamagedDocument, EncryptedDocument, ExpandedDocumentTooLarge

_BLOCK_BYTES: Final = 256 * 1024
_ENCRYPTED_FLAG: Final = 0x1
_MAX_PARTS: Final = 20_000
_MAX_DEPTH: Final = 400  # of elements; tables in tables in tables have 60
_RELATIONSHIPS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STRICT_RELATIONSHIPS: Final = "http://purl.oclc.org/ooxml/officeDocument/relationships"
_EXTERNAL: Final = "External"
_ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)
ENCRYPTED: Final = "the document is protected with a password; save it without the password and upload it again"


class Package:
    """Names of elements and attributes are without their namespace, except for `r:` (relationship ids)."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """``max_bytes``: of all parts that are read, once they are decompressed."""
        self._bytes_left = max_bytes
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_ERRORS:
            raise _damaged() from None
        parts = self._zip.infolist()
        if len(parts) > _MAX_PARTS:
            raise ExpandedDocumentTooLarge(f"the document consists of more than {_MAX_PARTS} parts")
        if any(part.flag_bits & _ENCRYPTED_FLAG for part in parts):
            raise EncryptedDocument(ENCRYPTED)
        self.names: Final = frozenset(part.filename for part in parts)

    def read(self, name: str) -> bytes:
        """Raises DamagedDocument and ExpandedDocumentTooLarge."""
        blocks = []
        try:
            with self._zip.open(name) as part:
                while block := part.read(_BLOCK_BYTES):
                    self._bytes_left -= len(block)
                    if self._bytes_left < 0:
                        raise ExpandedDocumentTooLarge("the document is larger than allowed once it is decompressed")
                    blocks.append(block)
        except (KeyError, *_ZIP_ERRORS):
            raise _damaged() from None
        return b"".join(blocks)

    def xml(self, name: str) -> Element:
        return parse_xml(self.read(name))

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """The parts that a part refers to, by id: the kind of each ("slide", "footnotes"), and its name.

        Parts outside the file and missing ones are left out.
        """
        folder, file = posixpath.split(name)
        relations = f"{folder}/_rels/{file}.rels".lstrip("/")
        if relations not in self.names:
            return {}
        return {
            relation.get("Id", ""): (posixpath.basename(relation.get("Type", "")), target)
            for relation in self.xml(relations)
            if relation.get("TargetMode") != _EXTERNAL
            and (target := self.resolve(folder, relation.get("Target", ""))) in self.names
        }

    def resolve(self, folder: str, reference: str) -> str:
        """The name of a part that is referred to from a folder of the file. References may be encoded as in URLs."""
        name = posixpath.normpath(posixpath.join("/", folder, reference)).lstrip("/")
        return name if name in self.names else unquote(name)

    def main_part(self) -> str:
        """The part with the text of an Office document."""
        for kind, name in self.related("").values():
            if kind == "officeDocument":
                return name
        raise _damaged()


def parse_xml(data: bytes) -> Element:
    """Raises DamagedDocument and ExpandedDocumentTooLarge."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise ExpandedDocumentTooLarge(f"the document nests its parts more than {_MAX_DEPTH} levels deep")
        builder.start(_local(name), {_attribute(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse_entity(*_: object) -> None:
        raise DamagedDocument("the document declares XML entities, which no Office program writes")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError, LookupError):
        raise _damaged() from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _attribute(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    return f"r:{local}" if namespace in (_RELATIONSHIPS, _STRICT_RELATIONSHIPS) else local


def children(element: Element | None, *names: str) -> Iterator[Element]:
    """The children with one of these names."""
    return (child for child in element if child.tag in names) if element is not None else iter(())


def _damaged() -> DamagedDocument:
    return DamagedDocument("the file is damaged or incomplete; open it in its program, save it again and upload that")
