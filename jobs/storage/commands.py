"""A command: one call to Redis, and the function that reads its reply, as data.

Each transition and each query is written once, as a function that returns a Command. The sync store (web process) and
the async store (worker) send commands to the server. Neither depends on the meaning of a command.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from jobs.errors import InternalError
from jobs.storage.reply_errors import first_word
from jobs.storage.scripts import Argument, NamedArguments, Script, load_script

T = TypeVar("T")


@dataclass(frozen=True)
class Command(Generic[T]):
    """``arguments`` as they are sent; ``read`` turns the server's reply into a value.

    ``must_be_safe``: after the reply something is forgotten that the write replaces, such as a request or a message. So
    the reply counts once the write is as safe as the settings ask for (see durability.py).

    ``wrong_type``: the value if the key has another type than the command needs. Without it, that error is raised.

    ``arguments`` may contain prompts and answers, so no repr shows them.
    """

    arguments: tuple[Argument, ...] = field(repr=False)
    read: Callable[[Any], T] = field(repr=False)
    script: Script | None = None
    must_be_safe: bool = False
    wrong_type: Callable[[], T] | None = field(default=None, repr=False)

    def bears(self, error: RedisError) -> bool:
        """Whether this error reply has a value."""
        return self.wrong_type is not None and first_word(error) == "WRONGTYPE"

    def value(self, reply: Any) -> T:
        """The value of a reply, which may be an error that the command bears."""
        return self.wrong_type() if self.wrong_type and isinstance(reply, RedisError) else self.read(reply)

    def encoded(self) -> tuple[Argument, ...]:
        """The arguments as bytes. Each command is encoded alone: text that cannot be encoded fails only its caller.

        Raises InternalError, which unlike UnicodeEncodeError does not contain the text.
        """
        try:
            rest = (argument.encode() if isinstance(argument, str) else argument for argument in self.arguments[1:])
            return (self.arguments[0], *rest)  # redis-py chooses the reply's parser by the command's name as str
        except UnicodeEncodeError:
            raise InternalError("text with half a surrogate pair cannot be stored") from None


def script_command(
    name: str, keys: NamedArguments, args: NamedArguments, read: Callable[[Any], T], *, must_be_safe: bool = False
) -> Command[T]:
    """A call of a script. Raises InternalError when a name is missing, extra or misspelt."""
    script = load_script(name)
    ordered_keys = script.keys.in_order(keys)
    arguments = ("EVALSHA", script.sha, len(ordered_keys), *ordered_keys, *script.args.in_order(args))
    return Command(arguments, read, script, must_be_safe)


def plain_command(
    *arguments: Argument,
    read: Callable[[Any], T],
    must_be_safe: bool = False,
    wrong_type: Callable[[], T] | None = None,
) -> Command[T]:
    return Command(arguments, read, must_be_safe=must_be_safe, wrong_type=wrong_type)


def record_command(key: str, read: Callable[[dict[str, str]], T]) -> Command[T | None]:
    """The hash of a record; None when there is no record. Damaged text is no error.

    A key of another type is a record without fields.
    """

    def read_hash(fields: dict[bytes, bytes]) -> T | None:
        return read({_lenient(name): _lenient(value) for name, value in fields.items()}) if fields else None

    return plain_command("HGETALL", key, read=read_hash, wrong_type=lambda: read({}))


def _lenient(value: bytes) -> str:
    return value.decode(errors="replace")


def text(value: Any) -> str:
    """A reply of the server as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
