"""Failures of calls to a server, their retries with backoff, and a limit of requests per minute."""

import collections
import email.utils
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

FAILURES = ("timeout", "connection", "status", "malformed")
"""Kinds of failures: no reply in time; no connection; an HTTP error; a reply without a text."""

_RETRIED_STATUSES = {408, 409, 429}
_MINUTE = 60.0


class EndpointError(RuntimeError):
    """A call to a language model failed, after the retries that its kind allows.

    Attributes:
        kind: a name in ``FAILURES``.
        status: HTTP status of the reply, ``None`` without one.
        retry_after: seconds that the server asks to wait; ``None`` if it does not.
    """

    def __init__(
        self,
        message: str,
        kind: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        if self.kind == "status":
            status = self.status or 0
            return status in _RETRIED_STATUSES or status >= 500
        return self.kind in ("timeout", "connection")


class Limiter:
    """Starts at most a number of requests in any minute, and none while the server asks to wait.

    Args:
        per_minute: largest number of requests in 60 seconds; no limit if ``None``.
        now: clock in seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        per_minute: int | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.now, self.sleep = now, sleep
        self._starts: collections.deque[float] = collections.deque(maxlen=per_minute or 1)
        self._per_minute = per_minute
        self._held = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for a place; places are given in the order of the calls."""
        with self._lock:
            start = self.now()
            if self._per_minute is not None and len(self._starts) == self._per_minute:
                start = max(start, self._starts[0] + _MINUTE)
            self._starts.append(start)
        while (left := max(start, self._held) - self.now()) > 0.0:
            self.sleep(left)

    def hold(self, seconds: float) -> None:
        """Start no request for a number of seconds."""
        with self._lock:
            self._held = max(self._held, self.now() + seconds)


def with_retries(
    send: Callable[[], T],
    limiter: Limiter,
    *,
    max_retries: int,
    backoff: float,
    max_wait: float,
    on_attempt: Callable[[int], None],
) -> T:
    """Call a function until it succeeds, fails for good, or has been called often enough.

    Before attempt ``k`` (from 1 on) it waits ``min(backoff 2^(k - 1), max_wait)`` seconds, or as
    long as the server asked for; a server that asks for more than ``max_wait`` has failed.

    Args:
        send: raises :class:`EndpointError`.
        limiter: of requests.
        max_retries: attempts after the first one, at least 0.
        backoff: seconds.
        max_wait: seconds.
        on_attempt: called with the number of each attempt, from 0.
    """
    attempt = 0
    while True:
        limiter.wait()
        on_attempt(attempt)
        try:
            return send()
        except EndpointError as error:
            asked = error.retry_after
            too_long = asked is not None and asked > max_wait
            if not error.may_pass or attempt >= max_retries or too_long:
                raise
            if asked is not None:
                limiter.hold(asked)
            else:
                limiter.sleep(min(backoff * 2.0**attempt, max_wait))
        attempt += 1


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Read the header ``Retry-After``: seconds, or a date; ``None`` if it is missing or neither.

    Example:
        >>> seconds_to_wait({"retry-after": "2.5"})
        2.5
    """
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None
