"""Virtual time for the Lua scripts: tests set the clock, so minutes pass in milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from jobs.storage import scripts
from jobs.storage.commands import Command, plain_command
from jobs.storage.sync_store import Store

T = TypeVar("T")

CLOCK_KEY: Final = "test:now-ms"
START_MS: Final = 1_800_000_000_000.0
_CLOCK_PIECE: Final = f"""
local function now_ms()
  return tonumber(redis.call('GET', '{CLOCK_KEY}'))
end
"""


@contextmanager
def virtual_clock() -> Iterator[None]:
    """Within the block every script that is loaded reads its time from CLOCK_KEY, in place of the server's clock."""
    read = scripts._read
    scripts._read = lambda stem: _CLOCK_PIECE if stem == "include_clock" else read(stem)
    scripts.load_script.cache_clear()
    try:
        yield
    finally:
        scripts._read = read
        scripts.load_script.cache_clear()


class VirtualTime:
    """Runs commands at a time of its own. Commands must be built within ``virtual_clock``."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now_ms = START_MS

    def pass_ms(self, milliseconds: float) -> None:
        self.now_ms += milliseconds

    def run(self, command: Command[T]) -> T:
        return self.run_all([command])[0]

    def run_all(self, commands: list[Command[T]]) -> list[T]:
        """All at the same time, in one round trip."""
        return self.store.run_all([self._set_clock(), *commands])[1:]

    def _set_clock(self) -> Command:
        return plain_command("SET", CLOCK_KEY, int(self.now_ms), read=lambda _: None)
