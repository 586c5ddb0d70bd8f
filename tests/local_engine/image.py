from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LocalImage:
    """The programs that replace an image: their paths, working directory and port option."""

    id: str
    programs: Mapping[str, str] = field(default_factory=dict)  # name in a command -> path of the program
    working_dir: Path | None = None  # None: the container's own folder
    listen: Sequence[str] = ()  # appended to the command when a port is published; {port} is filled in

    def arguments(self, command: Sequence[str], port: int | None) -> list[str]:
        """The command line of a container."""
        program, *rest = command
        listen = [argument.format(port=port) for argument in self.listen] if port else []
        return [self.programs.get(program, program), *rest, *listen]
