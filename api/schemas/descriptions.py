"""Descriptions of schemas and fields in the OpenAPI document that have none of their own for API users.

The models of jobs/ have docstrings for developers; they never reach the document. Fields that mean the same in every
schema are described once, by their name.
"""

from typing import Any, Final

_SCHEMAS: Final = {
    "ChatAnswer": "The result of a chat task.",
    "ChatTask": "A chat call, submitted as a task.",
    "AnswerSource": "A passage of a document that the model was given. The answer may cite it or not.",
    "Citation": "A passage of a document that supports the answer.",
    "CompletionAnswer": "The result of a chat completion; `text` is the text of its first choice.",
    "DocumentState": "The status of a document. "
    "`ingesting`: its text is being read and embedded. `ready`: chats can use it. `failed`: chats cannot use it, and "
    "`error` has the reason. `deleting`: chats can no longer use it, and its data is being removed.",
    "EmbeddingsTask": "A request for embeddings, submitted as a task.",
    "Event": "One event of a job. A field that does not apply to the event's type is absent.",
    "IngestAnswer": "The result of ingesting a document, which is now `ready`.",
    "JobError": "The reason why a job or document failed. Only the provider's own message may quote the prompt.",
    "Role": "`member`: everything with the jobs and documents of its tenant. `read`: only looks at them. `service`: as "
    "`member`, for the tenant in the header `OpenAI-Project`. `admin`: as `service`, and administers tenants and keys.",
    "Scope": "What an API key may do.",
    "SectionStep": "A part of long documents that has been summarized, or a summary of several parts.",
    "ProviderError": "The error as the provider reported it.",
    "Limits": "Limits for this job. The server's default applies to each absent field.",
    "Message": "An earlier message of the conversation.",
    "Progress": "The progress of an ingest.",
    "QueueDepth": "The number of jobs that wait in a queue.",
    "PoolDepth": "The jobs of one pool and lane that wait for a slot or for their provider.",
    "TargetStatus": "A model at a provider, or a provider with limits of its own: its limits and its calls.",
    "ProviderList": "The targets that are configured or were called within a day.",
    "WaitReason": "What a queued job waits for. `slot`: a free slot of a worker. `provider_rate_limit`: the provider "
    "allows no further call yet. `provider_down`: the provider cannot be reached or fails. `retry`: the time of the "
    "next attempt.",
    "Lane": "`interactive` jobs start before `batch` jobs, which keep a share of the starts.",
    "Rates": "Jobs per minute, averaged over the last five full minutes.",
    "WorkerStatus": "The state of a worker, as it last reported it.",
    "RemovalAnswer": "The result of removing a document: its file and chunks are deleted.",
    "ResponseAnswer": "The result of a response; `text` is the text of its messages.",
    "State": "The status of a job. "
    "`queued`: waiting for a worker or for its next attempt. `in_progress`: running. `completed`: the answer is "
    "complete. `incomplete`: the answer was cut off by a length limit or a content filter. `failed`: there is no "
    "answer, and `error` has the reason. `cancelled`: cancelled on request; partial text is kept. The last four are "
    "final.",
    "TextCompletionAnswer": "The result of a text completion; `text` is the text of its first choice.",
    "Usage": "The number of tokens used.",
}

_OPTIONS: Final = {
    "limits": "Limits for this job.",
    "metadata": "Up to 16 key-value pairs, stored with the job.",
    "model": "Name of the model; the server's default if absent.",
}
_CHAT: Final = _OPTIONS | {
    "message": "The user's message.",
    "system": "Instructions for the model.",
    "history": "Earlier messages of the conversation, oldest first.",
    "temperature": "Sampling temperature, forwarded to the model.",
    "max_output_tokens": "Maximum length of the answer. An answer that reaches it ends `incomplete`.",
    "documents": "Answer from these documents and cite them: a list of ids, or `all`.",
}
_FIELDS: Final[dict[str, dict[str, str]]] = {
    "SyncChat": _CHAT,
    "AsyncChat": _CHAT,
    "ChatTask": _CHAT | {"kind": "Always `chat`."},
    "ChatAnswer": {
        "citations": "The passages that support the answer; null if no documents were requested.",
        "sources": "All passages that the model was given; null if no documents were requested.",
    },
    "SectionStep": {
        "key": "Identifies the step, so that a retried attempt does not repeat it.",
        "document_id": "Id of the document; empty for a step that combines summaries.",
        "title": "Title of the chapter; empty if it is unknown.",
        "first_page": "First page of the section, from 1.",
        "last_page": "Last page of the section.",
        "text": "The summary.",
        "pages_done": "Pages that have been summarized, with those of this section.",
        "pages": "All pages to summarize; a page with two chapters counts for each.",
    },
    "ProviderError": {
        "code": "The provider's error code, for example `context_length_exceeded`.",
        "type": "The provider's type of the error.",
        "param": "The parameter of the request that the error is about.",
        "message": "The provider's explanation. It may quote the prompt.",
    },
    "Citation": {
        "page": "Page number, from 1.",
        "page_label": "The number that is printed on the page, such as `iv` or `A-7`, if the PDF defines it. For an "
        "Office document, the heading or the name of the sheet. Else the page number. Null in older answers.",
        "quote": "A verbatim quote from that page.",
        "score": "Relevance of the passage to the question, from 0 to 1.",
        "support": "Share of the words of the citing statement that the quote contains, from 0 to 1. It does not show "
        "that the statement is true. Null if the statement has no words of its own.",
    },
    "AnswerSource": {
        "number": "The number by which the answer cites the passage.",
        "page": "Page number, from 1.",
        "start": "Position of the passage's first character in the text of the page.",
        "end": "Position after the passage's last character in the text of the page.",
        "score": "Relevance of the passage to the question, from 0 to 1.",
        "selection": "Why the passage was selected. `match`: it matches the question. `page`: the question names its "
        "page. `whole`: the model was given the whole document. `sample`: the document is too long for that, and the "
        "passage is a part of a sample.",
    },
    "CompletionAnswer": {"body": "The provider's `chat.completion` object."},
    "TextCompletionAnswer": {"body": "The provider's `text_completion` object."},
    "EmbeddingsTask": _OPTIONS
    | {
        "input": "The texts, or texts as lists of tokens. The vectors are returned in the same order.",
        "dimensions": "Length of each vector, if the model supports a choice.",
        "encoding_format": "`float`: vectors as numbers. `base64`: vectors as base64 of little-endian float32.",
        "extra_body": "Further parameters, forwarded to the provider unchanged. Those that choose the provider, the "
        "key or the settings of a gateway are rejected.",
        "kind": "Always `embeddings`.",
    },
    "Event": {
        "sequence_number": "Number of the event, from 0. Send it as `Last-Event-ID` or `starting_after` to resume "
        "after the event. Absent for an event that only restarts the text of a replayed answer.",
        "type": "The event's type. `in_progress`: an attempt begins, and the text restarts from empty. `sources`: "
        "the passages of documents that the model is given. `section`: a part of long documents has been "
        "summarized. `delta`: the next part of the text. `upstream`: other output of the provider. "
        "`attempt_incomplete`: the attempt ended without an answer and another one follows. "
        "All others are final.",
        "attempt": "Number of the attempt that begins or ended, from 1.",
        "text": "The next part of the answer's text.",
        "data": "A chunk of a chat completion, or an event of a response, as sent by the provider.",
        "citations": "The passages that support the answer, in the final event of a chat with documents.",
        "sources": "The passages that the model is given, in the event `sources` and in the final event.",
        "section": "The part of long documents that has been summarized, in the event `section`.",
    },
    "IngestAnswer": {
        "pages": "Number of pages.",
        "chunks": "Number of chunks the text was divided into.",
        "pages_without_text": "Pages without text: empty ones, or images such as scans.",
        "damaged_pages": "Pages that could not be read.",
        "garbled_pages": "Pages whose fonts do not identify their characters.",
        "model": "The model of the embeddings.",
    },
    "JobError": {"code": "A stable error code.", "message": "An explanation for people; its wording may change."},
    "Limits": {
        "max_attempts": "Number of attempts that may fail before the job fails.",
        "deadline_seconds": "Seconds from submission, including waiting and retries, after which the job fails.",
        "start_by_seconds": "Seconds from submission after which the job fails if no attempt has begun.",
        "cancel_after_seconds": "Seconds from submission after which the job is cancelled, queued or running.",
        "attempt_seconds": "Maximum duration of a single call to the provider, in seconds.",
        "first_token_seconds": "Maximum wait for the first token, in seconds.",
        "idle_seconds": "Maximum wait between two tokens, in seconds.",
    },
    "Message": {"role": "The author of the message.", "content": "The text of the message."},
    "Progress": {"pages_done": "Pages read and embedded so far.", "pages": "Number of pages."},
    "WorkerStatus": {
        "name": "Name of the worker: its host and process id.",
        "host": "Name of the host that the worker runs on. Null, like each field below, if it is unknown: a worker of "
        "an older version sends no report.",
        "version": "Version of the server that the worker runs.",
        "takes_jobs": "True if the worker takes queued jobs, or will when one of its slots is free. False while it "
        "starts or stops, has no connection to the message broker, cannot make its writes as safe as the settings ask "
        "for, or an operator has stopped it from taking jobs.",
        "slots": "Number of jobs that the worker can run at the same time.",
        "free_slots": "Number of slots without a job.",
    },
    "QueueDepth": {
        "name": "Name of the queue.",
        "depth": "Number of waiting jobs, without those that wait for the time of their next attempt.",
        "published": "Number of waiting jobs that a worker takes next.",
    },
    "PoolDepth": {
        "pool": "The pool: the public name of a model. `-` for jobs that call no model by themselves; `*` for jobs of "
        "many rarely used models together.",
        "queued": "Number of waiting jobs.",
        "lane": "The lane of the jobs.",
    },
    "ProviderList": {"targets": "The targets, and the providers that have limits of their own."},
    "TargetStatus": {
        "name": "Provider and model, such as `main/gpt-5-mini`; for the provider itself only its name.",
        "is_open": "False while no call may start because the provider has refused or failed.",
        "closed_reason": "Why no call may start; null if one may.",
        "closed_until": "Time at which a call is tried again (UTC); null if the target is open.",
        "running": "Number of calls in progress.",
        "requests_last_minute": "Number of calls in the last 61 seconds.",
        "tokens_last_minute": "Tokens counted for these calls; null without a limit of tokens.",
        "requests_per_minute": "Limit of calls per minute; null if none is known.",
        "requests_source": "Where that limit comes from: `configured`, a `header` of the provider, or its `refusal`.",
        "tokens_per_minute": "Limit of tokens per minute; null if none is known.",
        "tokens_source": "Where that limit comes from.",
        "concurrency": "Limit of concurrent calls; null if none is configured.",
    },
    "QueueStats": {
        "counts": "Number of stored jobs by status.",
        "queues": "The depth of each queue.",
        "pools": "The jobs that wait by pool and lane, and for what; without those that a worker takes next.",
        "waiting_for_retry": "Number of queued jobs that wait for the time of their next attempt.",
        "queued_bytes": "Size of the requests of all jobs that have not ended, in bytes.",
        "max_queued_bytes": "The size above which submits get 429.",
        "oldest_queued_seconds": "Time the oldest queued job has waited; null if none waits.",
        "totals": "Number of jobs by outcome since the start, including jobs that are no longer stored.",
        "rates_per_minute": "Current rates.",
    },
    "Rates": {
        "created": "Jobs submitted per minute.",
        "completed": "Jobs completed per minute.",
        "failed": "Jobs failed per minute.",
    },
    "ResponseAnswer": {
        "body": "The provider's `response` object. If a message in it has neither id nor text, its text is in `text`."
    },
    "Usage": {
        "input_tokens": "Tokens of the input.",
        "output_tokens": "Tokens of the output.",
        "total_tokens": "Tokens in total.",
        "estimated": "True if the provider reported no usage. The estimate counts four characters of input, or one "
        "chunk of streamed output, as one token.",
    },
}

# Fields that mean the same wherever they occur.
_COMMON_FIELDS: Final = {
    "attempts": "Number of attempts begun so far.",
    "choices": "The choices, as OpenAI defines them.",
    "created_at": "Time of submission (UTC).",
    "document_id": "Id of the document.",
    "error": "The reason for the failure; null if there is none.",
    "estimated_wait_seconds": "Estimated seconds until the job is first in the queue, based on recent throughput; "
    "null if unknown, or if no worker takes jobs.",
    "filename": "Name of the file.",
    "finish_reason": "Why the answer ended, as reported by the provider, for example `stop` or `length`.",
    "finished_at": "Time at which the job became final; null before that.",
    "id": "Unique id of the object.",
    "job_id": "Id of the job.",
    "kind": "The kind of task.",
    "model": "Name of the model.",
    "next_attempt_at": "Time of the next attempt; null unless the job waits for one.",
    "next_cursor": "Pass it as `cursor` to get the next page; null on the last page.",
    "object": "The type of the object.",
    "queue_position": "Number of jobs ahead in the queue, at most; null if the job does not wait in the queue. It can "
    "rise when a job of another tenant or user arrives, because they take turns.",
    "started_at": "Time at which the latest attempt began; null before the first one.",
    "status": "The current status. `unknown`: another version of the server wrote one that this server does not know.",
    "task_id": "Id of the task.",
    "text": "The text of the answer; the partial text if the answer did not finish.",
    "usage": "Tokens used; null if unknown.",
    "waiting_for": "What the job waits for; null unless it is queued.",
    "waiting_until": "Time (UTC) at which that is expected to end; null if unknown.",
    "workers": "The workers that are alive.",
    "workers_alive": "Number of workers that are alive.",
}


def describe(name: str, schema: dict[str, Any]) -> None:
    """Add or replace the descriptions of the schema of that name."""
    if name in _SCHEMAS:
        schema["description"] = _SCHEMAS[name]
    own = _FIELDS.get(name, {})
    for field, definition in schema.get("properties", {}).items():
        text = own.get(field) or definition.get("description") or _COMMON_FIELDS.get(field)
        if text:
            definition["description"] = text
