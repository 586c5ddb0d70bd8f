"""The decision whether a pool may change its size."""

import pytest

from tasks.celery_ext.pool_size import find_problem


@pytest.mark.parametrize(("n", "size", "direction"), [(1, 2, -1), (1, 1, +1), (499, 500, -1), (9, 1, +1)], ids=str)
def test_a_pool_may_have_any_size_from_one_to_its_limit(n, size, direction):
    """Within these bounds nothing is refused."""
    assert find_problem(n, size, direction, 500) is None


@pytest.mark.parametrize(
    ("n", "size", "direction", "problem"),
    [
        (1, 1, -1, "must keep at least 1"),
        (500, 2, -1, "must keep at least 1"),
        (499, 2, +1, "may have at most 500"),
        (0, 2, -1, "whole number"),
        (-3, 2, -1, "whole number"),
        (1.5, 2, +1, "whole number"),
        ("2", 2, +1, "whole number"),
        (True, 2, +1, "whole number"),
        (None, 2, +1, "whole number"),
    ],
)
def test_any_other_change_is_refused_with_its_reason(n, size, direction, problem):
    """A negative shrink would be a grow past the limit, and text would fail in the pool with a traceback."""
    assert problem in find_problem(n, size, direction, 500)


def test_a_pool_that_celery_cannot_resize_is_left_alone():
    """The threads and the solo pool have no way to resize: the reply says what to do instead."""
    assert "--concurrency" in find_problem(1, 2, +1, None)
