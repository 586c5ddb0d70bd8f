"""The base of all that crosses a process.

Texts of people and models (messages, answers) are declared with ``repr=False``, so that no log line, traceback
or test failure shows them by accident.
"""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
