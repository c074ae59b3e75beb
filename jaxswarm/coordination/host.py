"""Host workers: a model of the user's own answers requests, with recording and replay.

The jitted program runs until calls are pending and returns them as one :class:`Request`; the host
answers with any Python function (this package opens no connection); the program is resumed with
the :class:`Reply`. Replies are kept in a :class:`Recording`, which replays them without the model,
so a run with a real model can be repeated and tested::

    recording = Recording()
    worker = host_worker(ask, num_answers=4, recording=recording)      # ask(call: dict) -> dict
    while True:
        state, request = advance(state)                      # jitted
        if not request.active.any():
            break
        state = resume(state, worker(request))               # jitted

Shapes: ``B`` calls.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination.backends import (
    EMPTY,
    FAILED,
    INVALID,
    OK,
    STATUSES,
    TIMED_OUT,
    Reply,
    Request,
)
from jaxswarm.errors import ReplayError

Ask = Callable[[dict[str, Any]], Mapping[str, Any]]
"""``ask(call) -> reply`` of the user's model; see :func:`host_worker`."""

Call = tuple[int, int, int]
"""``(worker, entity, event)``."""

_NUMBERS = ("confidence", "tokens_in", "tokens_out", "latency")
_LARGEST = float(np.finfo(np.float32).max)


class Recording:
    """Recorded replies by ``(worker, entity, event)``, in memory and as JSON lines.

    Replies from a file are validated like those of a model: when they are read, and again for the
    number of answers when they are replayed.
    """

    def __init__(self) -> None:
        self._replies: dict[Call, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def record(self, call: Call, reply: Mapping[str, Any]) -> None:
        """Record the reply to a call.

        Raises:
            ValueError: if this call already has one, or it is no call or no reply.
        """
        call = _checked_call(call)
        _check_row(reply)
        if call in self._replies:
            raise ValueError(f"call: (worker, entity, event) {call} is recorded already")
        self._replies[call] = dict(reply)

    def replay(self, call: Call) -> dict[str, Any]:
        """Return the recorded reply to a call.

        Raises:
            ReplayError: a ``ValueError``, if there is none: the run differs from the recorded one.
        """
        call = _checked_call(call)
        if call not in self._replies:
            raise ReplayError(f"call: (worker, entity, event) {call} is not recorded")
        return dict(self._replies[call])

    def save(self, path: str | Path) -> None:
        """Write one JSON line per reply."""
        rows = (json.dumps({"call": call, "reply": reply}) for call, reply in self._replies.items())
        Path(path).write_text("".join(f"{row}\n" for row in rows))

    @classmethod
    def load(cls, path: str | Path) -> "Recording":
        """Read a file written by :meth:`save`.

        Raises:
            ValueError: naming the line that is not a reply.
        """
        recording = cls()
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"path: expected JSON lines in UTF-8, got {path}") from error
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                recording.record(tuple(row["call"]), row["reply"])
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise ValueError(f"path: line {number} is not a reply ({error})") from error
        return recording


def host_worker(
    ask: Ask | None,
    *,
    num_answers: int,
    recording: Recording | None = None,
    timeout: float = math.inf,
    max_concurrency: int = 1,
) -> Callable[[Request], Reply]:
    """Make a function that answers requests on the host with a model of the user's own.

    Inside a jitted program use :func:`host_backend`. For models behind the OpenAI protocol
    ``language.worker_calls`` makes ``ask``.

    Args:
        ask: gets ``worker``, ``entity``, ``event``, ``demand``, ``context`` of one call (never the
            truth), returns ``answer`` and optionally ``confidence``, ``tokens_in``, ``tokens_out``,
            ``latency``. An exception becomes the status ``failed``, an invalid reply ``invalid``, a
            latency above ``timeout`` ``timed out``. ``None`` replays the recording. Only a
            :class:`~jaxswarm.errors.ReplayError` passes: the run differs from a recorded one.
        num_answers: ``A``, at least 1; valid answers are ``0 … A - 1``.
        recording: records the replies of ``ask``, or is replayed.
        timeout: milliseconds above 0.
        max_concurrency: calls of a batch at a time, in threads if more than 1.

    Raises:
        ValueError: if there is neither ``ask`` nor ``recording``, or a number is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import coordination
        >>> worker = coordination.host_worker(lambda call: {"answer": 2}, num_answers=3)
        >>> one = jnp.zeros(1, jnp.int32)
        >>> reply = worker(coordination.Request(one, one, one, jnp.ones((1, 1)), jnp.zeros(1), one,
        ...                                     jnp.ones(1, bool)))
        >>> int(reply.answer[0]), coordination.STATUSES[int(reply.status[0])]
        (2, 'ok')
    """
    answer = numpy_worker(
        ask,
        num_answers=num_answers,
        recording=recording,
        timeout=timeout,
        max_concurrency=max_concurrency,
    )
    return lambda request: Reply(*(jnp.asarray(column) for column in answer(request)))


def numpy_worker(
    ask: Ask | None,
    *,
    num_answers: int,
    recording: Recording | None,
    timeout: float,
    max_concurrency: int,
) -> Callable[[Request], Reply]:
    """Make the function of :func:`host_worker`, with numpy arrays in its replies.

    It runs no jax operation, so that it can be called from inside a jitted program.
    """
    if ask is None and recording is None:
        raise ValueError("ask: expected a function, or a recording to replay, got neither")
    if ask is not None:
        checks.function("ask", ask)
    if recording is not None:
        checks.instance("recording", recording, Recording, "coordination.Recording()")
    num_answers = checks.whole("num_answers", num_answers, 1)
    checks.real("timeout", timeout, above=0.0, infinite=True)
    max_concurrency = checks.whole("max_concurrency", max_concurrency, 1)

    def answer_call(call: Call, demand: np.ndarray, context: float) -> dict[str, Any]:
        if ask is None:
            assert recording is not None
            return _replayed(recording.replay(call), call, num_answers, timeout)
        question = {
            "worker": call[0],
            "entity": call[1],
            "event": call[2],
            "demand": demand.tolist(),
            "context": context,
        }
        try:
            return validated_reply(ask(question), num_answers, timeout)
        except ReplayError:
            raise
        except Exception as error:  # any exception of a model's client is a failed call
            return {"status": STATUSES[FAILED], "reason": f"{type(error).__name__}: {error}"}

    def rows_of(calls: list[Call], demands: np.ndarray, contexts: list[float]) -> Iterator[Any]:
        if max_concurrency == 1 or len(calls) < 2:
            yield from map(answer_call, calls, demands, contexts)
            return
        with ThreadPoolExecutor(min(max_concurrency, len(calls))) as pool:
            yield from pool.map(answer_call, calls, demands, contexts)

    def answer(request: Request) -> Reply:
        checks.instance("request", checks.concrete("request", request), Request)
        request = request._replace(**{k: np.asarray(v) for k, v in request._asdict().items()})
        count = len(checks.wholes("worker", request.worker, shape=(None,)))
        for name in ("entity", "event"):
            checks.wholes(name, getattr(request, name), -checks.LARGEST, shape=(count,))
        checks.mask("active", request.active, (count,))
        columns = {name: np.zeros(count, np.float32) for name in _NUMBERS}
        answers = np.full(count, -1, np.int32)
        status = np.full(count, EMPTY, np.int32)
        slots = np.flatnonzero(request.active)
        numbers = (request.worker, request.entity, request.event)
        calls: list[Call] = [(int(w), int(e), int(v)) for w, e, v in zip(*numbers, strict=True)]
        asked = [calls[slot] for slot in slots]
        contexts = [float(x) for x in request.context[slots]]
        rows = rows_of(asked, np.asarray(request.demand)[slots], contexts)
        for slot, call, row in zip(slots, asked, rows, strict=True):
            if ask is not None and recording is not None:
                recording.record(call, row)
            status[slot] = STATUSES.index(row["status"])
            if status[slot] == OK:
                answers[slot] = row["answer"]
                for name in _NUMBERS:
                    columns[name][slot] = row.get(name, 0.0)
        none = np.full(count, -1, np.int32)
        return Reply(answers, **columns, error=none, status=status)  # pyright: ignore

    return answer


def validated_reply(reply: Any, num_answers: int, timeout: float = math.inf) -> dict[str, Any]:
    """Check a host's reply and return it as a plain row with a ``status``.

    Args:
        reply: what ``ask`` of :func:`host_worker` returned.
        num_answers: ``A``.
        timeout: milliseconds.

    Returns:
        ``answer``, ``confidence``, ``tokens_in``, ``tokens_out``, ``latency`` and the status
        ``ok``; otherwise the status ``invalid`` with a ``reason``, or ``timed out``.

    Raises:
        ValueError: if ``num_answers`` or ``timeout`` is out of range; never because of the reply.
    """
    num_answers = checks.whole("num_answers", num_answers, 1)
    checks.real("timeout", timeout, above=0.0, infinite=True)

    def invalid(reason: str) -> dict[str, Any]:
        return {"status": STATUSES[INVALID], "reason": reason}

    if not isinstance(reply, Mapping) or "answer" not in reply:
        return invalid("expected a mapping with an answer")
    answer = reply["answer"]
    if isinstance(answer, bool) or not isinstance(answer, int | np.integer):
        return invalid(f"answer: expected an integer, got {answer!r}")
    if not 0 <= answer < num_answers:
        return invalid(f"answer: expected 0 to {num_answers - 1}, got {answer}")
    row: dict[str, Any] = {"status": STATUSES[OK], "answer": int(answer)}
    for name in _NUMBERS:
        value = reply.get(name, 0.0)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            return invalid(f"{name}: expected a number, got {value!r}")
        if not 0 <= number <= _LARGEST:
            return invalid(f"{name}: expected a finite number of at least 0, got {number}")
        row[name] = number
    if row["confidence"] > 1:
        return invalid(f"confidence: expected at most 1, got {row['confidence']}")
    if row["latency"] > timeout:
        return {"status": STATUSES[TIMED_OUT]}
    return row


def _checked_call(call: Any) -> Call:
    if not isinstance(call, tuple) or len(call) != 3:
        raise ValueError(f"call: expected (worker, entity, event), got {checks.shown(call)}")
    worker, entity, event = (checks.whole("call", x, -checks.LARGEST) for x in call)
    return worker, entity, event


def _check_row(row: Any) -> None:
    """Refuse what :func:`validated_reply` could not have returned, for any number of answers."""
    if not isinstance(row, Mapping) or row.get("status") not in STATUSES or _is_empty(row):
        known = [status for status in STATUSES if status != STATUSES[EMPTY]]
        raise ValueError(f"reply: expected a mapping with a status of {known}, got {row!r}")
    if row["status"] == STATUSES[OK]:
        checked = validated_reply(row, checks.LARGEST)
        if checked["status"] != STATUSES[OK]:
            raise ValueError(f"reply: {checked['reason']}")


def _is_empty(row: Mapping[str, Any]) -> bool:
    return row["status"] == STATUSES[EMPTY]


def _replayed(row: dict[str, Any], call: Call, num_answers: int, timeout: float) -> dict[str, Any]:
    """A recorded row, validated like a live reply."""
    if row["status"] != STATUSES[OK]:
        return row
    checked = validated_reply(row, num_answers, timeout)
    if checked["status"] == STATUSES[INVALID]:
        raise ValueError(f"recording: the reply to call {call} is invalid: {checked['reason']}")
    return checked
