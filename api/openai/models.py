"""/v1/models: the models of the providers file, those last read from the provider, or those of the settings."""

from typing import Any

from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.services import whole_services
from jobs import queries
from jobs.errors import ModelNotFound

blueprint = OpenAIBlueprint("models", __name__, url_prefix="/models", description="OpenAI-compatible list of models")


@blueprint.route("")
@blueprint.response(200, response_schemas.ModelList, description="The models.", example=examples.MODELS)
@blueprint.problems(503)
def list_models() -> Any:
    """List the models.

    These are the models and aliases of the server's providers file. Without such a file, they are the models of the
    provider. Before the first list of the provider has been read, they are the server's default models.
    """
    return {"object": "list", "data": _models()}


@blueprint.route("/<path:name>", parameters=[examples.MODEL_NAME])
@blueprint.response(200, response_schemas.ModelObject, description="The model.", example=examples.ONE_MODEL)
@blueprint.problems(404, 503)
def show_model(name: str) -> Any:
    """Show a model.

    Only models in the list are found.
    """
    match = next((model for model in _models() if model["id"] == name), None)
    if match is None:
        raise ModelNotFound("no such model; GET /v1/models lists the models", param="model")
    return match


def _models() -> list[dict[str, Any]]:
    app_services = whole_services()
    settings = app_services.settings
    if (listed := settings.providers.model_names) is not None:
        return list(map(_model, listed))
    provider_models = app_services.store.run(queries.models())
    return provider_models or list(map(_model, dict.fromkeys([settings.chat_model, settings.embedding_model])))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatqueue"}
