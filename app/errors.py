"""The exceptions that cross rooms: each means "we could not decide" or "this cannot be used".

::

    GuardError
    ├── SettingsError        what an administrator configured cannot be used
    ├── StateUnreadable      the state that is to be judged could not be read
    ├── ChangeFailed         a change to the cluster was not made
    ├── InputError           something given to a command cannot be used
    ├── WorkerAway           the process that hard questions are asked of is not there
    └── StartError           the process cannot begin its work: a port is taken, a certificate unreadable

A denial is no exception but a value. Errors of third parties are translated at the seam where they arise;
each message is a sentence for the person who has to act on it.
"""

from __future__ import annotations


class GuardError(Exception):
    """Base of every exception of ours that crosses rooms; its text is fit to be shown."""


class SettingsError(GuardError):
    """The settings cannot be used; ``problems`` holds one sentence for each thing that is wrong."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StateUnreadable(GuardError):  # noqa: N818 - reads as what it is: the state is unreadable
    """The state could not be read: ``what`` was wanted, ``why`` it failed, ``how`` to get it working.

    >>> print(StateUnreadable("policies of ns-1", "the API server did not answer in 1 s", "try again"))
    could not read policies of ns-1: the API server did not answer in 1 s; try again
    """

    def __init__(self, what: str, why: str, how: str = "") -> None:
        super().__init__(f"could not read {what}: {why}" + (f"; {how}" if how else ""))
        self.what = what
        self.why = why
        self.how = how


class ChangeFailed(GuardError):  # noqa: N818 - reads as what it is: the change failed
    """A change to the cluster was not made: ``what`` was to be done, ``why`` it failed, ``how`` to mend it.

    ``status`` is the API server's HTTP status, 0 where it gave none, and ``said`` its whole message;
    ``warnings`` came with it.

    >>> print(ChangeFailed("apply Namespace one", "the API server answered 500", "try again"))
    could not apply Namespace one: the API server answered 500; try again
    """

    def __init__(  # noqa: PLR0917 - the parts of one sentence, then what programs want
        self,
        what: str,
        why: str,
        how: str = "",
        status: int = 0,
        said: str = "",
        *,
        warnings: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"could not {what}: {why}" + (f"; {how}" if how else ""))
        self.what = what
        self.why = why
        self.how = how
        self.status = status
        self.said = said
        self.warnings = warnings


class InputError(GuardError):
    """Something given to a command cannot be used; ``path`` is a file's name or a field's path."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class WorkerAway(GuardError):  # noqa: N818 - reads as what it is: the worker is away
    """Hard questions cannot be asked at the moment; the text says why."""


class StartError(GuardError):
    """The process cannot begin its work; the text says what is in the way."""
