"""Commands that ask, and that follow an answer."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from cli.answer import show_answer
from cli.ingest import add_document
from cli.session import Session, client_command

FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command()
@click.argument("message", required=False)
@click.option("--attach", "files", type=FILE, multiple=True, help="Answer from this document. May be repeated.")
@click.option("--document", "document_ids", metavar="ID", multiple=True, help="Answer from an uploaded document.")
@click.option("--model", help="The model; by default that of the server.")
@click.option("--system", help="Instructions to the model.")
@click.option("--max-output-tokens", type=int, help="Maximum length of the answer.")
@click.option("--resume", "job_id", metavar="ID", help="Show the answer of an earlier chat; nothing is asked.")
@client_command
def chat(
    session: Session,
    message: str | None,
    files: tuple[Path, ...],
    document_ids: tuple[str, ...],
    job_id: str | None,
    **fields: Any,
) -> None:
    """Ask MESSAGE and print the answer.

    Without MESSAGE, or if it is `-`, it is read from standard input.
    """
    if job_id is not None:
        if message is not None or files or document_ids:
            raise click.UsageError("--resume takes no MESSAGE and no documents")
        show_answer(session, job_id)
        return
    text = _read_message(message)
    documents = [*document_ids, *(add_document(session, file)["document_id"] for file in files)]
    ask(session, text, documents=documents or None, **fields)


@click.command()
@click.argument("job_id", metavar="ID")
@client_command
def tail(session: Session, job_id: str) -> None:
    """Follow the job ID from its beginning to its end. With --json, print its events."""
    if not session.output.as_json:
        show_answer(session, job_id)
        return
    for event in session.client.follow(job_id):
        session.output.json(event)


def ask(session: Session, message: str, **fields: object) -> None:
    """Submit a chat and print its answer. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    job = session.client.post("/chat/async", {"message": message, **given})
    if session.output.is_live:
        session.output.note(job["job_id"])
    show_answer(session, job["job_id"])


def _read_message(message: str | None) -> str:
    """The message, from standard input if it is absent or `-`."""
    text = message
    if text is None or text == "-":
        text = str(click.prompt("Message", err=True)) if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        raise click.UsageError("the message is empty")
    return text
