"""What was written down and cannot be read any more is told without a word of it."""

import pytest
from pydantic import ValidationError

from jobs.errors import RequestUnreadable
from jobs.kinds import ANSWER, JOB_REQUEST, read_request

CANARY = "canary-0c44"
DAMAGED = [
    f'{{"metadata":{{"{CANARY}":"x"}},,',
    f'{{"kind":"chat","message":["{CANARY}"]}}',
    '{"a":' * 250 + f'"{CANARY}"' + "}" * 250,
]


@pytest.mark.parametrize("adapter", [JOB_REQUEST, ANSWER])
@pytest.mark.parametrize("damaged", DAMAGED)
def test_an_error_over_several_models_does_not_show_its_input(adapter, damaged):
    with pytest.raises(ValidationError) as refused:
        adapter.validate_json(damaged)

    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("damaged", [*DAMAGED, None])
def test_a_request_that_cannot_be_read_is_an_error_of_its_own(damaged):
    with pytest.raises(RequestUnreadable) as refused:
        read_request(damaged)

    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is None
