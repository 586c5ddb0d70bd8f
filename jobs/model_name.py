"""The form of a model's name."""

from typing import Annotated

from pydantic import Field

# 512 characters: some clouds name a model by a path or an ARN.
ModelName = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]
