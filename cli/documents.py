"""The commands of documents."""

from pathlib import Path
from typing import Any

import click

from cli.chat import FILE, ask
from cli.ingest import add_document
from cli.output import Report, Rows
from cli.session import Session, client_command

_STATES = click.Choice(["ingesting", "ready", "failed", "deleting"])


@click.group()
def documents() -> None:
    """Upload documents, ask them, delete them."""


@documents.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--no-wait", is_flag=True, help="Return after the upload, before the documents are ready.")
@client_command
def add(session: Session, files: tuple[Path, ...], no_wait: bool) -> None:
    """Upload FILES, and wait until they are ready."""
    added = [add_document(session, path, waits=not no_wait) for path in files]
    session.output.report(Report({"documents": added}, [_rows(added)]))


@documents.command("list")
@click.option("--status", type=_STATES, help="Only documents with this status.")
@click.option("--filename", help="Only documents whose name contains this text.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", help="The next page: `next_cursor` of the previous one (--json).")
@client_command
def list_documents(session: Session, **query: Any) -> None:
    """List the documents, the newest first."""
    page = session.client.get("/documents", **query)
    session.output.report(Report(page, [_rows(page["documents"])]))


@documents.command("ask")
@click.argument("question")
@click.option("--document", "document_ids", metavar="ID", multiple=True, help="One of the documents; by default all.")
@click.option("--model", help="The model; by default that of the server.")
@client_command
def ask_documents(session: Session, question: str, document_ids: tuple[str, ...], model: str | None) -> None:
    """Answer QUESTION from the documents, with citations."""
    ask(session, question, documents=list(document_ids) or "all", model=model)


@documents.command()
@click.argument("document_ids", metavar="ID...", nargs=-1, required=True)
@client_command
def delete(session: Session, document_ids: tuple[str, ...]) -> None:
    """Delete documents."""
    tasks = [session.client.delete(f"/documents/{document_id}") for document_id in document_ids]
    rows = [(document_id, "deleting") for document_id in document_ids]
    session.output.report(Report({"deleted": tasks}, [Rows(("document", "status"), rows)]))


def _rows(found: list[dict[str, Any]]) -> Rows:
    columns = ("document", "status", "kind", "pages", "filename", "error")
    return Rows(
        columns,
        [
            (
                document["document_id"],
                document["status"],
                document["kind"],
                document["pages"],
                document["filename"],
                (document["error"] or {}).get("code"),
            )
            for document in found
        ],
    )
