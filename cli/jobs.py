"""Commands about jobs: list, cancel, retry."""

from typing import Any, Final

import click

from cli.errors import UnknownId
from cli.output import Report, Rows
from cli.session import Session, client_command

_STATES: Final = ("queued", "in_progress", "completed", "incomplete", "failed", "cancelled")
_RETRIED_STATES: Final = ("failed", "incomplete", "cancelled")
_PREVIEW_CHARS: Final = 60
_COLUMNS: Final = ("job", "status", "kind", "model", "created", "attempts", "note", "input")

seconds_option = click.option(
    "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between two updates."
)


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--status", type=click.Choice(_STATES), help="Only jobs with this status.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Maximum number of jobs.")
@click.option("--cursor", help="The next page: `next_cursor` of the previous one (--json).")
@click.option("--watch", is_flag=True, help="Show changes until Ctrl-C.")
@seconds_option
@client_command
def jobs(session: Session, ids: tuple[str, ...], watch: bool, interval: float, **query: Any) -> None:
    """List the jobs, the newest first, or the jobs with these IDS."""
    if ids and (query["status"] or query["cursor"]):
        raise click.UsageError("IDS cannot be combined with --status or --cursor")
    path_query = {"ids": ",".join(ids)} if ids else query

    def read() -> Report:
        page = session.client.get("/tasks", **path_query)
        return Report(page, [_rows(page["tasks"], page["unknown"])])

    if watch:
        session.output.watch(read, interval)
        return
    report = read()
    session.output.report(report)
    if unknown := report.value["unknown"]:
        raise UnknownId(f"there is no job {', '.join(unknown)}")


@click.command()
@click.argument("ids", nargs=-1, required=True)
@client_command
def cancel(session: Session, ids: tuple[str, ...]) -> None:
    """Cancel jobs. A job that has ended does not change."""
    tasks = [session.client.post(f"/tasks/{job_id}/cancel") for job_id in ids]
    session.output.report(Report({"tasks": tasks}, [_rows(tasks)]))


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--status", type=click.Choice(_RETRIED_STATES), help="Retry all jobs with this status.")
@click.option("--error-code", help="Of these, only jobs with this error code.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Maximum number of jobs.")
@click.option("--dry-run", is_flag=True, help="Count the jobs and retry none.")
@client_command
def retry(session: Session, ids: tuple[str, ...], status: str | None, **filters: Any) -> None:
    """Retry failed, incomplete or cancelled jobs as new jobs: those with these IDS, or all with --status."""
    if bool(ids) == bool(status):
        raise click.UsageError("expected either IDS or --status")
    if ids:
        tasks = [session.client.post(f"/tasks/{job_id}/retry") for job_id in ids]
        rows = [(old, new["task_id"]) for old, new in zip(ids, tasks, strict=True)]
        session.output.report(Report({"tasks": tasks}, [Rows(("job", "retried as"), rows)]))
        return
    given = {name: value for name, value in filters.items() if value is not None}
    report = session.client.post("/tasks/retry", {"status": status, **given})
    rows = [(task["task_id"], task["retried_as"]) for task in report["retried"]]
    summary = Rows(("matched", "retried", "more"), [(report["matched"], len(rows), report["has_more"])])
    session.output.report(Report(report, [summary, Rows(("job", "retried as"), rows)]))


def _rows(tasks: list[dict[str, Any]], unknown: list[str] | tuple[()] = ()) -> Rows:
    return Rows(_COLUMNS, [*map(_row, tasks), *((job_id, "unknown id", *[None] * 6) for job_id in unknown)])


def _row(task: dict[str, Any]) -> tuple[object, ...]:
    return (
        task["task_id"],
        task["status"],
        task["kind"],
        task["model"],
        task["created_at"].partition(".")[0].rstrip("Z"),
        f"{task['attempts']}/{task['max_attempts']}",
        _note(task),
        task["prompt_preview"][:_PREVIEW_CHARS],
    )


def _note(task: dict[str, Any]) -> str:
    """What is most useful to know about the job in its state."""
    if task["status"] == "queued":
        waits = f"waits for {task['waiting_for']}" if task["waiting_for"] else task["error_code"]
        position = "" if task["queue_position"] is None else f"position {task['queue_position']}"
        return ", ".join(filter(None, [position, waits]))
    if progress := task["progress"]:
        return f"page {progress['done']} of {progress['total']}" if {"done", "total"} <= progress.keys() else ""
    return str(task["error_code"] or "")
