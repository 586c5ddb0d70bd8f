"""gunicorn's settings as plain attributes: gunicorn looks up about 27 of them for each request."""

from typing import Any, Final

_COMPUTED: Final = ("is_ssl",)  # properties that each request asks for


class SettingsOnce:
    """Every setting, read once. They do not change in a worker: a reload starts new ones."""

    def __init__(self, config: Any) -> None:
        self._config = config
        vars(self).update({name: getattr(config, name) for name in (*config.settings, *_COMPUTED)})

    def __getattr__(self, name: str) -> Any:
        """Everything else: the methods and the rarer properties of gunicorn's own object."""
        return getattr(self._config, name)
