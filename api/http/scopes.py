"""What a caller needs for each view. One table, so that a test can compare it with the routes of the app."""

from typing import Final

from jobs.api_keys import Scope

PUBLIC: Final = frozenset(  # contain nothing of any caller: probes and the documentation
    {
        "health.show_health",
        "health.show_live",
        "health.show_ready",
        "docs.to_docs",
        "docs.static",
        "api-docs.openapi_swagger_ui",
        "api-docs.openapi_json",
    }
)
SCOPES: Final = {
    **dict.fromkeys(
        (
            "chat.answer_chat",
            "chat.accept_chat",
            "tasks.accept_task",
            "tasks.retry_task",
            "completions.create_completion",
            "text_completions.create_text_completion",
            "embeddings.create_embeddings",
            "responses.create_response",
            "compaction.compact_conversation",
        ),
        Scope.SUBMIT,
    ),
    **dict.fromkeys(
        (
            "chat.show_chat",
            "chat.follow_chat",
            "chat.create_stream_token",
            "tasks.list_tasks",
            "tasks.show_task",
            "tasks.show_result",
            "completions.show_completion",
            "text_completions.show_text_completion",
            "models.list_models",
            "models.show_model",
            "responses.show_response",
            "responses.list_input_items",
        ),
        Scope.READ,
    ),
    **dict.fromkeys(
        ("tasks.cancel_task", "tasks.delete_task", "responses.cancel_response", "responses.delete_response"),
        Scope.CANCEL,
    ),
    "tasks.retry_tasks": Scope.RETRY_MANY,
    **dict.fromkeys(
        (
            "documents.list_documents",
            "documents.show_document",
            "documents.download_file",
            "documents.show_page",
            "documents.show_page_image",
            "documents.show_quote_boxes",
            "documents.show_outline",
        ),
        Scope.DOCUMENTS_READ,
    ),
    **dict.fromkeys(
        (
            "documents.upload_document",
            "documents.change_document",
            "documents.ingest_again",
            "documents.delete_document",
        ),
        Scope.DOCUMENTS_WRITE,
    ),
    "queue.show_stats": Scope.STATS,
    "providers.list_providers": Scope.METRICS,
    "metrics.show_metrics": Scope.METRICS,
}


def needed_scope(endpoint: str | None) -> Scope:
    """The scope that a view needs. A view that is not in the table, such as one of administration, needs ADMIN."""
    return SCOPES.get(endpoint or "", Scope.ADMIN)
