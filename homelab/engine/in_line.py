"""A pool without threads: what is given to it runs at once, in the thread that gives it. Pure.

So Ctrl-C ends what is under way, as it ends a loop: for a run whose one node may be ended anywhere.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")


class InLine(Executor):
    """Runs one thing after another."""

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """A future that is done already; what is no Exception (Ctrl-C) is raised here."""
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
