"""Reads an e-book: a section for each file of its reading order, which is mostly a chapter."""

import posixpath
from collections.abc import Iterator
from typing import Final

from documents.errors import DamagedDocument, EncryptedDocument
from documents.reading.decoding import decode
from documents.reading.html_text import first_heading, html_to_text
from documents.reading.office.package import Package
from documents.reading.office.sections import Section

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_FONT_SCHEMES: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # fonts only
_DOCUMENT_TYPES: Final = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")


def read_epub(package: Package) -> Iterator[Section]:
    """Raises EncryptedDocument for a book with copy protection."""
    if _ENCRYPTION in package.names:
        methods = [element.get("Algorithm", "") for element in package.xml(_ENCRYPTION).iter("EncryptionMethod")]
        if any(method not in _FONT_SCHEMES for method in methods):
            raise EncryptedDocument("the e-book is copy-protected, and cannot be read")
    root = next((element.get("full-path", "") for element in package.xml(_CONTAINER).iter("rootfile")), "")
    contents = package.xml(root)
    files = {
        item.get("id", ""): item.get("href", "")
        for item in contents.iter("item")
        if item.get("media-type", "") in _DOCUMENT_TYPES
    }
    names = [files.get(entry.get("idref", "")) for entry in contents.iter("itemref")]
    if not any(names):
        raise DamagedDocument("the e-book has no reading order")
    folder = posixpath.dirname(root)
    for name in filter(None, names):
        html = decode(package.read(package.resolve(folder, name)), is_html=True)
        yield Section(first_heading(html), [html_to_text(html)])
