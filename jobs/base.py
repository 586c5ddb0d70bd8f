"""The base class of all data that crosses a process boundary.

Fields with text written by people or models (messages, answers) are declared with ``repr=False``, so that no log line,
traceback or test failure shows them by accident.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict

# For a TypeAdapter over several models: its errors would show the input although each model's own errors do not.
HIDE_INPUT: Final = ConfigDict(hide_input_in_errors=True)


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
