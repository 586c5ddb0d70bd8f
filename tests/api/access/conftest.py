"""A service with keys: the administrator's, and those of its tenants."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from api.services import Services, services_of
from jobs import access
from jobs.api_keys import Role, Scope
from jobs.storage import keys
from jobs.tenant import DEFAULT_TENANT, Tenant
from tests.api.conftest import FakeWorker

ADMIN_KEY = "the-administrator-of-the-tests"


@dataclass
class Keyed:
    """The app, and a client that sends a key with each call."""

    app: Flask

    @property
    def services(self) -> Services:
        return services_of(self.app)

    def call(self, key: str | None, method: str, path: str, **options: Any) -> TestResponse:
        headers = options.pop("headers", {}) | ({} if key is None else {"Authorization": f"Bearer {key}"})
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def tenant(self) -> Tenant:
        return access.create_tenant(self.services.store, "").tenant

    def key(
        self, tenant: Tenant = DEFAULT_TENANT, role: Role = Role.MEMBER, *only: Scope, seconds: float | None = None
    ) -> str:
        return access.create_key(self.services.store, tenant, role, "", only, seconds)[1]

    def submit(self, key: str, message: str = "hello") -> str:
        response = self.call(key, "POST", "/api/v1/chat/async", json={"message": message})
        assert response.status_code == 202, response.text
        return str(response.json["job_id"])

    def forget_checked_keys(self) -> None:
        """As after a second."""
        assert self.services.keys is not None
        self.services.keys._checked.clear()


@pytest.fixture
def keyed(make_api: Callable[..., Flask], api_redis_port: int) -> Keyed:
    with redis.Redis(port=api_redis_port) as client:
        client.flushall()
        client.hset(keys.target("main/gpt-5-mini"), "starts", 10_000)
    return Keyed(make_api(api_redis_port, admin_key=ADMIN_KEY))


@pytest.fixture
def keyed_worker(keyed: Keyed) -> FakeWorker:
    return FakeWorker(keyed.services.store, keyed.services.settings)
