"""Shows the answer of a job: as it arrives on a terminal, and whole in a pipe or as JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cli.client import Event
from cli.errors import CliError, Interrupted
from cli.output import Output
from cli.session import Session

_ENDS: Final = {"failed", "cancelled", "incomplete"}
_QUOTE_CHARS: Final = 200


def show_answer(session: Session, job_id: str) -> str:
    """Follow the job to its end and print its answer. Returns the text. Raises CliError if there is no whole answer.

    With --json, the last line is the job. After Ctrl-C the job goes on.
    """
    view = _AnswerView(session.output)
    try:
        with view.waiting():
            for event in session.client.follow(job_id):
                view.show(event)
    except KeyboardInterrupt:
        advice = f"`chatqueue tail {job_id}` shows it, `chatqueue cancel {job_id}` ends it"
        raise Interrupted(f"{job_id} goes on: {advice}") from None
    if session.output.as_json:
        session.output.json(session.client.get(f"/chat/jobs/{job_id}"))
    view.close()
    if problem := _problem(job_id, view.last):
        raise CliError(problem)
    return view.text


class _AnswerView:
    """The text of one answer, which begins again with each attempt."""

    def __init__(self, output: Output) -> None:
        self.text = ""
        self.last: Event = {}
        self._output = output
        self._status = output.errors.status("waiting") if output.is_live else None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within the block, people see why there is no text yet."""
        if self._status:
            self._status.start()
        try:
            yield
        finally:
            self._stop_waiting()

    def show(self, event: Event) -> None:
        self.last = event
        match event["type"]:
            case "status" if self._status:
                self._status.update(_describe_wait(event))
            case "in_progress" | "attempt_incomplete" if self.text:
                self._begin_again()
            case _:
                self._add(_text_of(event))

    def close(self) -> None:
        """Print what a terminal has not shown yet, and the citations."""
        if self._output.as_json:
            return
        if not self._output.is_live:
            self._output.write(self.text)
        if self.text and not self.text.endswith("\n"):
            self._output.write("\n")
        for number, citation in enumerate(self.last.get("citations") or (), start=1):
            quote = " ".join(citation["quote"].split())
            shown = quote if len(quote) <= _QUOTE_CHARS else f"{quote[:_QUOTE_CHARS]}..."
            self._output.write(f"[{number}] {citation['filename']}, page {citation['page']}: {shown}\n")

    def _begin_again(self) -> None:
        self.text = ""
        if self._output.is_live:
            self._output.write("\n")
            self._output.note("(the attempt failed: its text is void, and the next attempt begins)")

    def _add(self, text: str) -> None:
        if text:
            self._stop_waiting()
            self.text += text
            if self._output.is_live:
                self._output.write(text)

    def _stop_waiting(self) -> None:
        if self._status:
            self._status.stop()


def _text_of(event: Event) -> str:
    """The text that an event adds; "" if it adds none."""
    if event["type"] == "delta":
        return str(event["text"])
    if event["type"] != "upstream":
        return ""
    data: dict[str, Any] = event["data"]  # a chunk of a completion, or an event of a response
    if data.get("type") == "response.output_text.delta":
        return str(data.get("delta") or "")
    choice: dict[str, Any] = next(iter(data.get("choices") or ()), {})
    return str((choice.get("delta") or {}).get("content") or choice.get("text") or "")


def _describe_wait(event: Event) -> str:
    position = event.get("queue_position")
    waiting_for = event.get("waiting_for")
    reason = f", waiting for {waiting_for}" if waiting_for else ""
    return f"{event['status']}{reason}" if position is None else f"{event['status']}, position {position}{reason}"


def _problem(job_id: str, last: Event) -> str:
    """Why the answer is not whole; "" if it is."""
    if last["type"] not in _ENDS:
        return ""
    error = last.get("error")
    reason = f": {error['message']} ({error['code']})" if error else ""
    finish_reason = last.get("finish_reason")
    return f"{job_id} is {last['type']}{reason or (f': {finish_reason}' if finish_reason else '')}"
