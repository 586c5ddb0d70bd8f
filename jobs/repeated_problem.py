"""Logs a problem that is tried again and again only once: when it begins, and when it changes."""


class RepeatedProblem:
    """Remembers the problem that was logged last. Safe to use from several threads: at worst a line appears twice."""

    def __init__(self) -> None:
        self._logged: str | None = None

    def is_new(self, problem: str) -> bool:
        """Whether to log this problem: it is not the one that was logged last."""
        if problem == self._logged:
            return False
        self._logged = problem
        return True

    def end(self) -> bool:
        """The problem is over: log the next one, whatever it is. Returns whether there was a problem."""
        had_problem, self._logged = self._logged is not None, None
        return had_problem
