"""The text of a PDF's form fields and comments.

PDFium's text page has only the page's own content. So the appearances of fields and comments are drawn into that
content first. Values and comments without an appearance are returned as notes.
"""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any, Final

from pypdfium2 import raw

from documents.errors import DynamicForm

_MAX_ANNOTATIONS: Final = 5_000  # per page whose comments are read
_HIDDEN_FLAGS: Final = 0x02 | 0x20  # Hidden and NoView
_TEXT_FIELDS: Final = (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX, raw.FPDF_FORMFIELD_TEXTFIELD)
_EMPTY_BYTES: Final = 2  # the final zero in UTF-16


def require_static(document: Any) -> None:
    """Raises DynamicForm for a form whose content is not in its pages."""
    if raw.FPDF_GetFormType(document) == raw.FORMTYPE_XFA_FULL:
        raise DynamicForm(
            "the document is a dynamic XFA form, whose content is not in its pages; print it to a PDF and upload that"
        )


def count_attachments(document: Any) -> int:
    return max(0, int(raw.FPDFDoc_GetAttachmentCount(document)))


def flatten(document: Any, index: int) -> list[str]:
    """Draw fields and comments into the page, which must be opened again. Returns the texts that are not drawn.

    Raises PdfiumError.
    """
    page = document[index]
    if not raw.FPDFPage_GetAnnotCount(page):
        return []
    notes = list(dict.fromkeys(_notes(document, page)))
    box = page.get_bbox()
    page.set_mediabox(*box)  # PDFium gives the size Letter to a page that inherits its box
    page.set_cropbox(*box)
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
    page.close()
    return notes


def _notes(document: Any, page: Any) -> Iterator[str]:
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if not raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN_FLAGS and (text := _note(document, annotation)):
                yield text
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _note(document: Any, annotation: Any) -> str:
    """The text of an annotation that its appearance does not show."""
    subtype = raw.FPDFAnnot_GetSubtype(annotation)
    if subtype in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP):
        return ""
    is_drawn = subtype in (raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_STAMP)
    if is_drawn and raw.FPDFAnnot_GetAP(annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0) > _EMPTY_BYTES:
        return ""
    if subtype == raw.FPDF_ANNOT_WIDGET:
        return _field_value(document, annotation)
    return _utf16(lambda buffer, size: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size)).strip()


def _field_value(document: Any, annotation: Any) -> str:
    if raw.FPDF_GetFormType(document) != raw.FORMTYPE_ACRO_FORM:
        return ""
    document.init_forms()
    form = document.formenv
    if raw.FPDFAnnot_GetFormFieldType(form, annotation) not in _TEXT_FIELDS:
        return ""
    return _utf16(lambda buffer, size: raw.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size)).strip()


def _utf16(read: Callable[[Any, int], int]) -> str:
    size = read(None, 0)
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    read(buffer, size)
    return bytes(memoryview(buffer).cast("B")[:size]).decode("utf-16-le", errors="ignore").rstrip("\0")
