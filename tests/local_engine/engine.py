"""The substitute for the Docker client: its ``containers``, ``images`` and ``networks``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docker.errors import ImageNotFound, NotFound

from local.child_process import ProcessReaper
from tests.local_engine.container import LocalContainer
from tests.local_engine.image import LocalImage


class LocalEngine:
    """Stands in for ``docker.DockerClient`` in pytest-docker-tools' fixture ``docker_client``.

    Nothing that it started outlives `close` or the process that created it. There are no volumes: a container's disk is
    its folder, or the image's working directory. `--reuse-containers` finds no container to reuse.
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
    """Substitute for ``docker.client.images``."""

    def __init__(self, images: Mapping[str, LocalImage]) -> None:
        self._images = images

    def get(self, name: str) -> LocalImage:
        """The image of that name. Raises ImageNotFound: nothing is pulled or built."""
        try:
            return self._images[name]
        except KeyError:
            raise ImageNotFound(f"no local program replaces the image {name}") from None


class Networks:
    """Substitute for ``docker.client.networks``."""

    def create(self, name: str, **_: Any) -> SimpleNamespace:
        """Every network is the loopback interface."""
        return SimpleNamespace(name=name, remove=lambda: None)


class Containers:
    """Substitute for ``docker.client.containers``."""

    def __init__(self, folder: Path, images: Images, reaper: ProcessReaper) -> None:
        self._folder = folder
        self._images = images
        self._reaper = reaper
        self._all: list[LocalContainer] = []

    def run(self, image: str, *, detach: bool, name: str = "", **options: Any) -> LocalContainer:
        """Start a container. Returns when its port accepts connections, or when it has ended.

        Raises TypeError for options that are not supported.
        """
        if not detach:
            raise TypeError("only detached containers are supported")
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
        """The container of that name or id, even if it has ended. Raises docker.errors.NotFound."""
        for container in self._all:
            if name in (container.name, container.id):
                return container
        raise NotFound(f"no container {name}")

    def close(self) -> None:
        for container in self._all:
            container.remove(force=True)
