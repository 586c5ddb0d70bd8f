"""A stored request or answer that cannot be read causes an error that contains none of its text."""

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
def test_a_validation_error_over_several_models_does_not_show_its_input(adapter, damaged):
    """An adapter for a union of models quotes none of a damaged request or answer."""
    with pytest.raises(ValidationError) as refused:
        adapter.validate_json(damaged)

    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("damaged", [*DAMAGED, None])
def test_an_unreadable_request_raises_request_unreadable(damaged):
    """The error has no cause that could show the request in a traceback."""
    with pytest.raises(RequestUnreadable) as refused:
        read_request(damaged)

    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is None
