"""Language models behind the OpenAI protocol: texts in, texts out, with limits and accounting."""

import concurrent.futures
import os
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxswarm import checks
from jaxswarm.language._attempts import EndpointError, Limiter, with_retries
from jaxswarm.language._openai import Reply, connect, list_models, send
from jaxswarm.language._tape import Entry, Occurrences, Tape

APIS = ("chat", "completions")
"""Routes: ``/chat/completions`` for messages, ``/completions`` for a text to be continued."""
ON_FAILURE = ("raise", "none")

Message = Mapping[str, str]
Prompt = str | Sequence[Message]
"""A text, or messages ``{"role": …, "content": …}``."""

TextFn = Callable[[Sequence[str]], Sequence[str | None]]
"""``texts(prompts) -> replies``, ``None`` for a call that failed; an :class:`Endpoint` is one."""


class Generation(NamedTuple):
    """A generated text.

    Attributes:
        text: of the reply.
        finished: whether it ended by itself, not at the largest number of tokens.
        prompt_tokens: read, 0 if the server does not say.
        completion_tokens: written, 0 if the server does not say.
        latency: milliseconds of the successful attempt; that of the recorded run in a replay.
    """

    text: str
    finished: bool
    prompt_tokens: int
    completion_tokens: int
    latency: float


class Usage(NamedTuple):
    """Calls and tokens of an endpoint since it was made.

    Attributes:
        requests: sent to the server, retries included.
        retries: requests after the first one of a call.
        replies: texts returned, those of the tape included.
        replayed: of these, replies from the tape.
        failures: calls without a reply, those of the tape included.
        prompt_tokens: of all replies.
        completion_tokens: of all replies.
        unreported: replies whose tokens the server did not count.
    """

    requests: int = 0
    retries: int = 0
    replies: int = 0
    replayed: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreported: int = 0


class Endpoint:
    """A language model on a server, made by :func:`openai_compatible`.

    Calling it with prompts returns the texts alone, ``None`` where a call failed. Calls may come
    from several threads. Close it, or use it in a ``with`` block, to release its connections.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api: str,
        fields: dict[str, Any],
        extra: dict[str, Any],
        system: str | None,
        seed: int | None,
        key_variable: str | None,
        timeout: float,
        limiter: Limiter,
        retries: dict[str, Any],
        max_concurrency: int,
        tape: Tape | None,
    ) -> None:
        self.base_url, self.model, self.api, self.tape = base_url, model, api, tape
        self._fields, self._extra, self._system, self._seed = fields, extra, system, seed
        self._key_variable, self._timeout = key_variable, timeout
        self._limiter, self._retries = limiter, retries
        self._claims = Occurrences() if tape is None else tape
        self._lock = threading.Lock()
        self._usage = Usage()
        self._client: Any = None
        self._pool = concurrent.futures.ThreadPoolExecutor(max_concurrency, "endpoint")

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r}, {self.model!r})"

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, prompts: Sequence[str]) -> list[str | None]:
        found = self.generate(prompts, on_failure="none")
        return [None if each is None else each.text for each in found]

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        labels: Sequence[str | None] | None = None,
        on_failure: str = "raise",
    ) -> list[Any]:
        """Generate a text for each prompt, in at most ``max_concurrency`` calls at a time.

        Equal prompts are separate calls with seeds of their own, so repeat a prompt for several
        samples of it.

        Args:
            prompts: texts, or (with ``api="chat"``) lists of messages.
            labels: of the calls: they distinguish calls with equal prompts on the tape when several
                threads make them at once, and give them seeds of their own. They are not sent.
            on_failure: ``"raise"`` the first failure and start no further call, or return
                ``"none"``, that is ``None`` in its place.

        Returns:
            A :class:`Generation` for each prompt.

        Raises:
            EndpointError: if a call fails and ``on_failure`` is ``"raise"``.
            ReplayError: a ``ValueError``, for a request that is not on the tape that is replayed.
            ValueError: for what are no prompts or labels.
        """
        checks.choice("on_failure", on_failure, ON_FAILURE)
        if isinstance(prompts, str) or not isinstance(prompts, Sequence):
            raise ValueError(f"prompts: expected a list of texts, got {checks.shown(prompts)}")
        bodies = [self._body(prompt) for prompt in prompts]
        labels = [None] * len(bodies) if labels is None else list(labels)
        if len(labels) != len(bodies):
            raise ValueError(f"labels: expected one for each prompt, got {len(labels)}")
        for label in labels:
            if label is not None:
                checks.instance("labels", label, str)
        claimed = [self._claims.claim(*pair) for pair in zip(bodies, labels, strict=True)]
        jobs = [
            self._pool.submit(self._answer, *each)
            for each in zip(bodies, claimed, labels, strict=True)
        ]
        found: list[Generation | None] = []
        try:
            for job in jobs:
                try:
                    found.append(job.result())
                except EndpointError:
                    if on_failure == "raise":
                        raise
                    found.append(None)
        except BaseException:
            for job in jobs:
                job.cancel()
            concurrent.futures.wait(jobs)
            raise
        return found

    def models(self) -> list[str]:
        """Names of the models that the server offers (``/models``).

        Raises:
            EndpointError: if the call fails.
        """
        return self._attempt(lambda: list_models(self._connected()))

    def usage(self) -> Usage:
        """Calls and tokens so far."""
        with self._lock:
            return self._usage

    def close(self) -> None:
        """Release threads and connections; the endpoint cannot be used after it."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        """What is asked, without the seed: what tapes know a call by."""
        if self.api == "completions":
            text = checks.instance("prompts", prompt, str)
            content: dict[str, Any] = {"prompt": f"{self._system or ''}{text}"}
        else:
            messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
            messages = _checked_messages(messages)
            if self._system is not None:
                messages = [{"role": "system", "content": self._system}, *messages]
            content = {"messages": messages}
        seeded = {} if self._seed is None else {"first_seed": self._seed}
        return {"model": self.model, **content, **self._fields, **self._extra, **seeded}

    def _answer(self, body: dict[str, Any], entry: Entry, label: str | None) -> Generation:
        row = None if self.tape is None else self.tape.find(entry)
        if row is not None:
            return self._replay(row)
        request = {k: v for k, v in body.items() if k not in self._extra and k != "first_seed"}
        if self._seed is not None:
            number = 0 if label is None else zlib.crc32(label.encode())
            request["seed"] = (self._seed + entry.occurrence + number) % 2**31
        try:
            reply = self._attempt(
                lambda: send(self._connected(), self.api, request, self._extra, self._limiter.now)
            )
        except EndpointError as error:
            self._count(failures=1)
            if self.tape is not None:
                self.tape.add(entry, {"failure": {"kind": error.kind, "status": error.status}})
            raise
        if self.tape is not None:
            self.tape.add(entry, {"reply": reply._asdict()}, self._key())
        return self._counted(reply)

    def _replay(self, row: dict[str, Any]) -> Generation:
        if "failure" in row:
            self._count(failures=1)
            kind, status = row["failure"]["kind"], row["failure"].get("status")
            shown = kind if status is None else f"{kind} {status}"
            raise EndpointError(f"{self.model}: recorded failure ({shown})", kind, status)
        self._count(replayed=1)
        return self._counted(Reply(**row["reply"]))

    def _counted(self, reply: Reply) -> Generation:
        read, written = reply.prompt_tokens or 0, reply.completion_tokens or 0
        unknown = reply.prompt_tokens is None or reply.completion_tokens is None
        self._count(
            replies=1, prompt_tokens=read, completion_tokens=written, unreported=int(unknown)
        )
        return Generation(reply.text, reply.finished, read, written, reply.latency)

    def _attempt(self, function: Callable[[], Any]) -> Any:
        def count(attempt: int) -> None:
            self._count(requests=1, retries=int(attempt > 0))

        return with_retries(function, self._limiter, on_attempt=count, **self._retries)

    def _count(self, **more: int) -> None:
        with self._lock:
            counts = self._usage._asdict()
            self._usage = Usage(**{name: n + more.get(name, 0) for name, n in counts.items()})

    def _key(self) -> str | None:
        return None if self._key_variable is None else os.environ.get(self._key_variable)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = connect(self.base_url, self._key(), self._timeout)
            return self._client


def _checked_messages(messages: Any) -> list[dict[str, str]]:
    wanted = "prompts: expected a text or messages {'role': …, 'content': …}"
    if not isinstance(messages, Sequence) or not messages:
        raise ValueError(f"{wanted}, got {checks.shown(messages)}")
    for message in messages:
        fine = isinstance(message, Mapping) and set(message) == {"role", "content"}
        if not fine or not all(isinstance(value, str) for value in message.values()):
            raise ValueError(f"{wanted}, got {checks.shown(message)}")
    return [dict(message) for message in messages]
