"""Tapes: requests to a language model and its replies as JSON lines, recorded and replayed."""

import collections
import json
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from jaxswarm import checks
from jaxswarm.errors import ReplayError

MODES = ("record", "replay", "extend")
"""Write a new file; answer from a file alone; answer from a file and append what it lacks."""

_SHORTEST_SECRET = 8


class Entry(NamedTuple):
    """Place of a call on a tape.

    Attributes:
        request: the request and its label as canonical JSON.
        occurrence: 0 for the first call with this request, 1 for the next one, and so on.
    """

    request: str
    occurrence: int


class Occurrences:
    """Numbers equal requests in the order in which they are made."""

    def __init__(self) -> None:
        self._counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def claim(self, request: dict[str, Any], label: str | None) -> Entry:
        """The entry of the next call with a request."""
        text = json.dumps([request, label], sort_keys=True, ensure_ascii=False)
        with self._lock:
            entry = Entry(text, self._counts[text])
            self._counts[text] += 1
        return entry


class Tape:
    """Replies of a language model by request, in a file of JSON lines.

    A line holds the request (model, prompt, sampling parameters), an optional label, how many equal
    requests were made before, and the reply with its token counts and latency, or the kind of
    failure. Headers, addresses and keys are not part of it. Lines are written as replies come, so
    an interrupted run keeps what it has and goes on in mode ``"extend"``.

    Args:
        path: of the file.
        mode: ``"record"`` writes a new file, ``"replay"`` needs no server and refuses requests that
            are not on the tape, ``"extend"`` replays what is there, asks for the rest (failures
            included) and appends it.

    Raises:
        ValueError: for an unknown mode, a file that exists in mode ``"record"`` or is missing in
            mode ``"replay"``, or a line that is no entry.

    Example:
        >>> import json, tempfile
        >>> from jaxswarm import language
        >>> folder = tempfile.TemporaryDirectory()
        >>> request = {"model": "small", "messages": [{"role": "user", "content": "1+1="}]}
        >>> reply = {"text": "2", "finished": True, "prompt_tokens": 4, "completion_tokens": 2,
        ...          "latency": 8.5}
        >>> row = {"request": request, "label": None, "occurrence": 0, "reply": reply}
        >>> with open(f"{folder.name}/calls.jsonl", "w") as file:
        ...     _ = file.write(json.dumps(row))
        >>> tape = language.Tape(f"{folder.name}/calls.jsonl", "replay")
        >>> model = language.openai_compatible("http://127.0.0.1:1/v1", "small", tape=tape)
        >>> model.generate(["1+1="])[0].text  # no server runs
        '2'
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str], mode: str = "replay") -> None:
        self.path = Path(checks.instance("path", path, (str, os.PathLike), "'calls.jsonl'"))
        self.mode = checks.choice("mode", mode, MODES)
        self._rows: dict[Entry, dict[str, Any]] = {}
        self._occurrences = Occurrences()
        self._lock = threading.Lock()
        exists = self.path.is_file()
        if mode == "record" and exists and self.path.stat().st_size:
            raise ValueError(
                f"path: expected a new file in mode 'record', got {path}, which has entries; use "
                "'extend' to go on with it"
            )
        if mode == "replay" and not exists:
            raise ValueError(
                f"path: expected a tape in mode 'replay', got {path}, which is no file"
            )
        if exists:
            self._load()

    def __len__(self) -> int:
        return len(self._rows)

    def claim(self, request: dict[str, Any], label: str | None = None) -> Entry:
        """The entry of the next call with this request and label."""
        return self._occurrences.claim(request, label)

    def find(self, entry: Entry) -> dict[str, Any] | None:
        """The recorded row with a ``reply`` or a ``failure``; ``None`` if the model must be asked.

        Raises:
            ReplayError: a ``ValueError``, in mode ``"replay"``, if there is none.
        """
        with self._lock:
            row = self._rows.get(entry)
        if self.mode == "replay" and row is None:
            request, label = json.loads(entry.request)
            prompt = request.get("messages", request.get("prompt"))
            raise ReplayError(
                f"tape: expected an entry of every request on {self.path}, got none for the model "
                f"{request.get('model')!r}, label {label!r}, occurrence {entry.occurrence}, prompt "
                f"{json.dumps(prompt, ensure_ascii=False):.200}: this run differs from the "
                "recorded one"
            )
        return None if row is not None and self.mode == "extend" and "failure" in row else row

    def add(self, entry: Entry, row: dict[str, Any], secret: str | None = None) -> None:
        """Append a ``reply`` or a ``failure``.

        Args:
            entry: of :meth:`claim`.
            row: ``{"reply": …}`` or ``{"failure": …}``.
            secret: a key that must not occur in the line.

        Raises:
            ValueError: if the key occurs in the request or the reply.
        """
        request, label = json.loads(entry.request)
        call = {"request": request, "label": label, "occurrence": entry.occurrence}
        line = json.dumps(call | row, ensure_ascii=False)
        if secret and len(secret) >= _SHORTEST_SECRET and json.dumps(secret)[1:-1] in line:
            raise ValueError("tape: expected requests and replies without the key, got one with it")
        with self._lock:
            self._rows[entry] = row
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def _load(self) -> None:
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"path: expected JSON lines in UTF-8, got {self.path}") from error
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                row = json.loads(line)
                text = json.dumps(
                    [row["request"], row["label"]], sort_keys=True, ensure_ascii=False
                )
                found = {"reply": row["reply"]} if "reply" in row else {"failure": row["failure"]}
                _check(**found)
                self._rows[Entry(text, checks.whole("occurrence", row["occurrence"]))] = found
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise ValueError(
                    f"path: expected an entry on line {number} of {self.path}, got "
                    f"{line[:80]!r} ({error})"
                ) from error


def _check(reply: Any = None, failure: Any = None) -> None:
    """Refuse what an endpoint does not write."""
    if failure is not None:
        checks.instance("failure kind", failure["kind"], str)
        return
    checks.instance("text", reply["text"], str)
    checks.flag("finished", reply["finished"])
    checks.real("latency", reply["latency"], 0.0)
    for name in ("prompt_tokens", "completion_tokens"):
        if reply[name] is not None:
            checks.whole(name, reply[name])
