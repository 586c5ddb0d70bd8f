"""Tenants and API keys over HTTP, for the administrator."""

from typing import Any, Final

from api.http.pydantic_smorest import Blueprint
from api.schemas import access_examples as examples
from api.schemas.access import (
    KeyListBody,
    KeyObject,
    KeysQuery,
    NewKeyBody,
    NewKeyObject,
    NewTenantBody,
    RotationBody,
    TenantListBody,
    TenantObject,
)
from api.services import Services, whole_services
from jobs import access
from jobs.errors import Forbidden, no_such_tenant
from jobs.tenant import Tenant, read_tenant

tenants_blueprint = Blueprint("tenants", __name__, url_prefix="/tenants", description="Tenants, for the administrator")
keys_blueprint = Blueprint("keys", __name__, url_prefix="/keys", description="API keys, for the administrator")
BLUEPRINTS: Final = (tenants_blueprint, keys_blueprint)


@tenants_blueprint.route("", methods=["POST"])
@tenants_blueprint.arguments(NewTenantBody, examples=examples.NEW_TENANTS)
@tenants_blueprint.response(201, TenantObject, description="The new tenant.", example=examples.TENANT)
@tenants_blueprint.problems(400, 413, 415, 422, 429, 503)
def create_tenant(body: NewTenantBody) -> Any:
    """Create a tenant.

    It has no key yet, and shares nothing with other tenants.
    """
    return TenantObject.of(access.create_tenant(_services().store, body.name))


@tenants_blueprint.route("")
@tenants_blueprint.response(200, TenantListBody, description="The tenants.", example=examples.TENANTS)
@tenants_blueprint.problems(503)
def list_tenants() -> Any:
    """List the tenants.

    The list includes archived ones.
    """
    return TenantListBody(tenants=tuple(map(TenantObject.of, access.tenants(_services().store))))


@tenants_blueprint.route("/<tenant>", parameters=[examples.TENANT_ID])
@tenants_blueprint.response(200, TenantObject, description="The tenant.", example=examples.TENANT)
@tenants_blueprint.problems(404, 503)
def show_tenant(tenant: str) -> Any:
    """Show a tenant.

    An archived tenant has the time since when its keys no longer work.
    """
    return TenantObject.of(access.tenant(_services().store, _tenant(tenant)))


@tenants_blueprint.route("/<tenant>/archive", methods=["POST"], parameters=[examples.TENANT_ID])
@tenants_blueprint.response(200, TenantObject, description="The archived tenant.", example=examples.ARCHIVED_TENANT)
@tenants_blueprint.problems(404, 429, 503)
def archive_tenant(tenant: str) -> Any:
    """Archive a tenant.

    Its keys no longer work, its queued jobs are cancelled, and its running jobs end by themselves. May be repeated.
    """
    whole = _services()
    return TenantObject.of(access.archive_tenant(whole.store, whole.settings, _tenant(tenant)))


@keys_blueprint.route("", methods=["POST"])
@keys_blueprint.arguments(NewKeyBody, examples=examples.NEW_KEYS)
@keys_blueprint.response(201, NewKeyObject, description="The new key, with its text.", example=examples.NEW_KEY)
@keys_blueprint.problems(400, 404, 413, 415, 422, 429, 503)
def create_key(body: NewKeyBody) -> Any:
    """Create an API key.

    This response is the only one that contains its text.
    """
    record, text = access.create_key(
        _services().store, Tenant(body.tenant), body.role, body.name, body.scopes, body.lifetime_seconds
    )
    return NewKeyObject.made(record, text)


@keys_blueprint.route("")
@keys_blueprint.arguments(KeysQuery, location="query")
@keys_blueprint.response(200, KeyListBody, description="The keys of the tenant.", example=examples.KEYS)
@keys_blueprint.problems(404, 422, 503)
def list_keys(query: KeysQuery) -> Any:
    """List the API keys of a tenant.

    The list includes keys that were revoked or have expired.
    """
    return KeyListBody(keys=tuple(map(KeyObject.of, access.keys_of(_services().store, Tenant(query.tenant)))))


@keys_blueprint.route("/<key_id>", parameters=[examples.KEY_ID])
@keys_blueprint.response(200, KeyObject, description="The key.", example=examples.KEY)
@keys_blueprint.problems(404, 503)
def show_key(key_id: str) -> Any:
    """Show an API key.

    Its text is stored nowhere, so it cannot be shown again.
    """
    return KeyObject.of(access.key(_services().store, key_id))


@keys_blueprint.route("/<key_id>/rotate", methods=["POST"], parameters=[examples.KEY_ID])
@keys_blueprint.arguments(RotationBody, examples=examples.ROTATIONS)
@keys_blueprint.response(201, NewKeyObject, description="The new key, with its text.", example=examples.NEW_KEY)
@keys_blueprint.problems(400, 404, 413, 415, 422, 429, 503)
def rotate_key(body: RotationBody, key_id: str) -> Any:
    """Replace an API key.

    The new key has the same rights. The old one expires after the overlap, so that no call fails meanwhile.
    """
    record, text = access.rotate_key(_services().store, key_id, body.overlap_seconds)
    return NewKeyObject.made(record, text)


@keys_blueprint.route("/<key_id>", methods=["DELETE"], parameters=[examples.KEY_ID])
@keys_blueprint.response(200, KeyObject, description="The revoked key.", example=examples.REVOKED_KEY)
@keys_blueprint.problems(404, 503)
def revoke_key(key_id: str) -> Any:
    """Revoke an API key.

    Every process refuses it within two seconds, and its open streams end. The jobs of its
    tenant go on. May be repeated.
    """
    return KeyObject.of(access.revoke_key(_services().store, key_id))


def _services() -> Services:
    """Raises Forbidden on a server without an administrator's key, where nobody could use the keys."""
    whole = whole_services()
    if whole.keys is None:
        raise Forbidden("this server has no API keys: set CHATQUEUE_ADMIN_KEY to use them")
    return whole


def _tenant(name: str) -> Tenant:
    tenant = read_tenant(name)
    if tenant is None:
        raise no_such_tenant()
    return tenant
