"""The base of all that crosses a process.

Texts of people and models (messages, answers) are declared with ``repr=False``, so that no log line, traceback
or test failure shows them by accident.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict

# Of an adapter over several models, whose errors would show the input although those of each model do not.
HIDE_INPUT: Final = ConfigDict(hide_input_in_errors=True)


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
