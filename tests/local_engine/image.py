from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LocalImage:
    """What an image's name stands for here: which programs run, where, and how they are told their port."""

    id: str
    programs: Mapping[str, str] = field(default_factory=dict)  # name in a command -> path of the stand-in
    working_dir: Path | None = None  # None: a folder of the container's own, as a container's disk would be
    listen: Sequence[str] = ()  # appended to the command when a port is published; {port} is filled in

    def arguments(self, command: Sequence[str], port: int | None) -> list[str]:
        program, *rest = command
        listen = [word.format(port=port) for word in self.listen] if port else []
        return [self.programs.get(program, program), *rest, *listen]
