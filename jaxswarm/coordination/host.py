"""A model of the user's own as a worker, by external stepping, with a tape.

The jitted program runs until calls are pending and returns them as one :class:`Request`; the host
answers with any Python function (this package opens no connection); the program is resumed with
the :class:`Reply`. What was answered is kept on a :class:`Tape`, which replays it without the
model, so a run with a real model can be repeated and tested.

    tape = Tape()
    worker = host_worker(ask, num_answers=4, tape=tape)      # ask(call: dict) -> dict
    while True:
        state, request = advance(state)                      # jitted
        if not request.active.any():
            break
        state = resume(state, worker(request))               # jitted

Shapes: ``B`` calls.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxswarm.coordination.backends import (
    EMPTY,
    FAILED,
    INVALID,
    OK,
    STATUSES,
    TIMED_OUT,
    Reply,
    Request,
    blanked,
)

Ask = Callable[[dict[str, Any]], Mapping[str, Any]]

_NUMBERS = ("confidence", "tokens_in", "tokens_out", "latency")


class Tape:
    """Replies by ``(worker, entity, event)``, in memory and as JSON lines."""

    def __init__(self) -> None:
        self._replies: dict[tuple[int, int, int], dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def record(self, call: tuple[int, int, int], reply: Mapping[str, Any]) -> None:
        """Keep a reply.

        Raises:
            ValueError: if this call already has one.
        """
        if call in self._replies:
            raise ValueError(f"call: (worker, entity, event) {call} is on the tape already")
        self._replies[call] = dict(reply)

    def replay(self, call: tuple[int, int, int]) -> dict[str, Any]:
        """The recorded reply.

        Raises:
            ValueError: if there is none: the run differs from the recorded one.
        """
        if call not in self._replies:
            raise ValueError(f"call: (worker, entity, event) {call} is not on the tape")
        return dict(self._replies[call])

    def save(self, path: str | Path) -> None:
        """Write one JSON line per reply."""
        rows = (json.dumps({"call": call, "reply": reply}) for call, reply in self._replies.items())
        Path(path).write_text("".join(f"{row}\n" for row in rows))

    @classmethod
    def load(cls, path: str | Path) -> "Tape":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: naming the line that is not a reply.
        """
        tape = cls()
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            try:
                row = json.loads(line)
                worker, entity, event = (int(x) for x in row["call"])
                tape.record((worker, entity, event), row["reply"])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"path: line {number} is not a reply ({error})") from error
        return tape


def host_worker(
    ask: Ask | None,
    *,
    num_answers: int,
    tape: Tape | None = None,
    timeout: float = math.inf,
) -> Callable[[Request], Reply]:
    """Answers requests on the host.

    Args:
        ask: gets ``worker``, ``entity``, ``event``, ``demand``, ``context`` of one call (never the
            truth), returns ``answer`` and optionally ``confidence``, ``tokens_in``, ``tokens_out``,
            ``latency``. An exception becomes the status ``failed``, an illegal reply ``invalid``, a
            latency above ``timeout`` ``timed out``. ``None`` replays the tape.
        num_answers: ``A``; legal answers are ``0 … A - 1``.
        tape: records what ``ask`` said, or is replayed.
        timeout: milliseconds.

    Raises:
        ValueError: if there is neither ``ask`` nor ``tape``, or a number is out of range.
    """
    if ask is None and tape is None:
        raise ValueError("ask: expected a function, or a tape to replay, got neither")
    if num_answers < 1:
        raise ValueError(f"num_answers: expected at least 1, got {num_answers}")
    if not timeout > 0:
        raise ValueError(f"timeout: expected milliseconds above 0, got {timeout}")

    def one(request: Request, slot: int) -> dict[str, Any]:
        call = tuple(int(x[slot]) for x in (request.worker, request.entity, request.event))
        if ask is None:
            assert tape is not None
            return tape.replay(call)  # type: ignore[arg-type]
        question = {
            "worker": call[0],
            "entity": call[1],
            "event": call[2],
            "demand": np.asarray(request.demand[slot]).tolist(),
            "context": float(request.context[slot]),
        }
        try:
            row = checked_reply(ask(question), num_answers, timeout)
        except Exception as error:  # whatever a model's client raises is a failed call
            row = {"status": STATUSES[FAILED], "reason": f"{type(error).__name__}: {error}"}
        if tape is not None:
            tape.record(call, row)  # type: ignore[arg-type]
        return row

    def answer(request: Request) -> Reply:
        request = request._replace(**{k: np.asarray(v) for k, v in request._asdict().items()})
        count = len(request.worker)
        columns = {name: np.zeros(count, np.float32) for name in _NUMBERS}
        answers = np.full(count, -1, np.int32)
        status = np.full(count, EMPTY, np.int32)
        for slot in np.flatnonzero(request.active):
            row = one(request, int(slot))
            status[slot] = STATUSES.index(row["status"])
            if status[slot] == OK:
                answers[slot] = row["answer"]
                for name in _NUMBERS:
                    columns[name][slot] = row.get(name, 0.0)
        numbers = {name: jnp.asarray(columns[name]) for name in _NUMBERS}
        none = jnp.full(count, -1, jnp.int32)
        made = Reply(answer=jnp.asarray(answers), error=none, status=jnp.asarray(status), **numbers)
        return blanked(made)

    return answer


def checked_reply(reply: Any, num_answers: int, timeout: float = math.inf) -> dict[str, Any]:
    """A reply of a host as a plain row with a ``status``; an illegal one is ``invalid``."""

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
            number = float(value)
        except (TypeError, ValueError):
            return invalid(f"{name}: expected a number, got {value!r}")
        if not (math.isfinite(number) and number >= 0):
            return invalid(f"{name}: expected a finite number of at least 0, got {number}")
        row[name] = number
    if row["confidence"] > 1:
        return invalid(f"confidence: expected at most 1, got {row['confidence']}")
    if row["latency"] > timeout:
        return {"status": STATUSES[TIMED_OUT]}
    return row
