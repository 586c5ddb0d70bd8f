"""The text of a mail, or of a web page that was saved as one (MHTML): the main headers, and the body."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from documents.reading.decoding import decode
from documents.reading.html_text import html_to_text

_SHOWN_HEADERS: Final = ("From", "To", "Cc", "Date", "Subject")


def mail_to_text(data: bytes) -> tuple[str, int]:
    """The text, and the number of attached files, which are not read. Raises UnknownEncoding."""
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101  # by the policy
    headers = [f"{name}: {value}" for name in _SHOWN_HEADERS if (value := _header(message, name))]
    body = message.get_body(("related", "plain", "html"))
    if body is not None and body.get_content_type() == "multipart/related":
        body = body.get_body(("html", "plain"))
    text = _part_text(body) if isinstance(body, EmailMessage) else ""
    return "\n".join(headers) + "\n\n" + text, sum(part.is_attachment() for part in message.walk())


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError):  # headers that the standard library cannot parse
        return ""


def _part_text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    is_html = part.get_content_type() == "text/html"
    text = decode(data, str(part.get_param("charset", "")) or None, is_html=is_html)
    return html_to_text(text) if is_html else text
