"""The client itself: ``containers``, ``images`` and ``networks`` of a Docker daemon that is not there."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docker.errors import ImageNotFound, NotFound

from local.child import ProcessReaper
from tests.local_engine.container import LocalContainer
from tests.local_engine.image import LocalImage


class LocalEngine:
    """Stands in for ``docker.DockerClient`` in pytest-docker-tools' fixture ``docker_client``.

    Nothing that it started outlives `close`, nor the process that made it. There are no volumes: a container's disk
    is its folder, or the image's working directory. `--reuse-containers` finds nothing to reuse.
    """

    def __init__(self, folder: Path, images: Iterable[LocalImage]) -> None:
        folder.mkdir(exist_ok=True)
        self._reaper = ProcessReaper()
        self.images = Images({image.id: image for image in images})
        self.networks = Networks()
        self.containers = Containers(folder, self.images, self._reaper)

    def close(self) -> None:
        self.containers.close()
        self._reaper.close()


class Images:
    def __init__(self, images: Mapping[str, LocalImage]) -> None:
        self._images = images

    def get(self, name: str) -> LocalImage:
        """Raises ImageNotFound: nothing is pulled or built here."""
        try:
            return self._images[name]
        except KeyError:
            raise ImageNotFound(f"no local program stands in for the image {name}") from None


class Networks:
    def create(self, name: str, **_: Any) -> SimpleNamespace:
        """All are the loopback interface."""
        return SimpleNamespace(name=name, remove=lambda: None)


class Containers:
    def __init__(self, folder: Path, images: Images, reaper: ProcessReaper) -> None:
        self._folder = folder
        self._images = images
        self._reaper = reaper
        self._all: list[LocalContainer] = []

    def run(self, image: str, *, detach: bool, name: str = "", **options: Any) -> LocalContainer:
        """Start one. Returns when its port listens, or when it has ended.

        TypeError for what cannot be had here.
        """
        if not detach:
            raise TypeError("only detached containers are run")
        stem = image.split(":", maxsplit=1)[0].replace("/", "-")
        name = name or f"{stem}-{len(self._all) + 1}"
        container = LocalContainer(
            image=self._images.get(image),
            name=name,
            folder=self._folder / name,
            reaper=self._reaper,
            **options,
        )
        self._all.append(container)
        container.start()
        return container

    def get(self, name: str) -> LocalContainer:
        """By name or id, ended ones too. Raises docker.errors.NotFound."""
        for container in self._all:
            if name in (container.name, container.id):
                return container
        raise NotFound(f"no container {name}")

    def close(self) -> None:
        for container in self._all:
            container.remove(force=True)
