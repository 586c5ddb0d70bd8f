"""The app with documents, and a fake worker."""

import pytest


@pytest.fixture
def app(api_app, make_api, api_redis_port, tmp_path):
    return make_api(api_redis_port, data_dir=tmp_path, document_max_bytes=200_000)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def files(tmp_path):
    """Names of all stored document files, including partial uploads."""
    return lambda: sorted(path.name for path in (tmp_path / "documents").rglob("*") if path.is_file())
