"""The state of the providers over HTTP."""

from typing import Any

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.health import ProviderList, TargetStatus
from api.services import whole_services
from jobs.provider_states import read_target_states

blueprint = Blueprint("providers", __name__, url_prefix="/providers", description="The state of the providers")


@blueprint.route("")
@blueprint.response(200, ProviderList, description="The current state.", example=examples.PROVIDERS)
@blueprint.problems(503)
def list_providers() -> Any:
    """Show the targets.

    For each one: its limits, where they come from, its calls, and whether it is open.
    """
    states = read_target_states(whole_services().store)
    return ProviderList(targets=tuple(map(TargetStatus.of, states)))
