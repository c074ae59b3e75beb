"""Settings of a language model behind the OpenAI protocol, and their checks."""

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from jaxswarm import checks
from jaxswarm.language._attempts import Limiter
from jaxswarm.language._endpoint import APIS, Endpoint
from jaxswarm.language._tape import Tape

MAX_WAIT = 60.0

_TAKEN = {
    "first_seed", "max_tokens", "messages", "model", "n", "prompt", "seed", "stop", "stream",
    "temperature",
}  # fmt: skip


def openai_compatible(
    base_url: str,
    model: str,
    *,
    api: str = "chat",
    key_variable: str | None = None,
    system: str | None = None,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    extra: Mapping[str, Any] | None = None,
    timeout: float = 60.0,
    max_retries: int = 4,
    backoff: float = 0.5,
    requests_per_minute: int | None = None,
    max_concurrency: int = 4,
    tape: Tape | None = None,
) -> Endpoint:
    r"""Use a language model of your own through the OpenAI protocol: a local or a remote server.

    Nothing is sent before the first call. Failed calls (timeouts, no connection, HTTP 408, 409, 429
    and 5xx) are repeated with doubled waiting times, or as ``Retry-After`` of the server says;
    other HTTP errors and replies without a text fail at once. With a :class:`Tape` in mode
    ``"replay"`` nothing is ever sent, and the package ``openai`` is not needed.

    The key is read from an environment variable that you name, and from nowhere else; it is neither
    logged, nor part of messages of errors or of tapes. Servers on this machine are reached without
    the proxies of the environment.

    Args:
        base_url: such as ``"http://127.0.0.1:8000/v1"``, without user, password and query.
        model: its name on the server.
        api: ``"chat"`` or ``"completions"``, see ``APIS``.
        key_variable: name of the environment variable that holds the key; ``None`` sends none.
        system: message before every prompt; with ``api="completions"``, text before it.
        max_new_tokens: of a reply, as ``max_tokens``; the server's choice if ``None``.
        temperature: of sampling, at least 0; the server's choice if ``None``.
        stop: text, or up to four, before which a reply ends.
        seed: of sampling, sent as ``seed + k`` with the ``k``-th call of an equal prompt (plus a
            hash of the call's label, if it has one); none if ``None``. Servers may ignore it.
        extra: further fields of a request, such as ``{"top_k": 5}`` or
            ``{"max_completion_tokens": 512}``, as the server knows them.
        timeout: seconds, > 0, to connect, and without any byte of the reply.
        max_retries: attempts after the first one of a call.
        backoff: seconds before the first retry; at most 60 are waited, also if the server asks.
        requests_per_minute: limit on attempts; none if ``None``.
        max_concurrency: calls at a time, at least 1.
        tape: to record to or to replay from; several endpoints may share one.

    Raises:
        ImportError: without the package openai (``pip install 'jaxswarm[openai]'``).
        ValueError: for arguments of another kind or out of range, or an environment variable that
            is not set.

    Example:
        >>> from jaxswarm import language
        >>> model = language.openai_compatible(
        ...     "http://127.0.0.1:8000/v1", "small", temperature=0.0, requests_per_minute=60
        ... )
        >>> model
        Endpoint('http://127.0.0.1:8000/v1', 'small')
        >>> [reply.text for reply in model.generate(["3+4+5="])]  # doctest: +SKIP
        ['7\n12']
        >>> model.usage().completion_tokens
        0
        >>> model.close()
    """
    parts = urlsplit(checks.instance("base_url", base_url, str))
    fine = parts.scheme in ("http", "https") and parts.hostname and not parts.query
    if not fine or parts.username or parts.password or parts.fragment:
        shown = f"{parts.scheme}://{parts.hostname}" if parts.hostname else checks.shown(base_url)
        raise ValueError(
            "base_url: expected 'http[s]://host[:port]/path' without user, password and query, got "
            f"{shown}"
        )
    checks.choice("api", api, APIS)
    for name, text in (("model", model), ("system", system), ("key_variable", key_variable)):
        if text is not None or name == "model":
            checks.instance(name, text, str)
    fields: dict[str, Any] = {}
    if max_new_tokens is not None:
        fields["max_tokens"] = checks.whole("max_new_tokens", max_new_tokens, 1)
    if temperature is not None:
        fields["temperature"] = float(checks.real("temperature", temperature, 0.0))
    if stop is not None:
        fields["stop"] = _checked_stop(stop)
    if tape is not None:
        checks.instance("tape", tape, Tape, "language.Tape('calls.jsonl', 'record')")
    if requests_per_minute is not None:
        requests_per_minute = checks.whole("requests_per_minute", requests_per_minute, 1)
    if tape is None or tape.mode != "replay":
        if importlib.util.find_spec("openai") is None:
            raise ImportError("openai is not installed: pip install 'jaxswarm[openai]'")
        if key_variable is not None and not os.environ.get(key_variable):
            raise ValueError(
                f"key_variable: expected the environment variable {key_variable} to hold a key, "
                "got one that is not set"
            )
    return Endpoint(
        base_url,
        model,
        api=api,
        fields=fields,
        extra=_checked_extra(extra),
        system=system,
        seed=None if seed is None else checks.whole("seed", seed),
        key_variable=key_variable,
        timeout=float(checks.real("timeout", timeout, above=0.0)),
        limiter=Limiter(requests_per_minute),
        retries={
            "max_retries": checks.whole("max_retries", max_retries),
            "backoff": float(checks.real("backoff", backoff, 0.0)),
            "max_wait": MAX_WAIT,
        },
        max_concurrency=checks.whole("max_concurrency", max_concurrency, 1),
        tape=tape,
    )


def _checked_stop(stop: Any) -> list[str]:
    texts = [stop] if isinstance(stop, str) else stop
    good = isinstance(texts, Sequence) and 1 <= len(texts) <= 4
    if not good or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"stop: expected a text or up to four, got {checks.shown(stop)}")
    return list(texts)


def _checked_extra(extra: Any) -> dict[str, Any]:
    extra = {} if extra is None else extra
    if not isinstance(extra, Mapping) or not all(isinstance(name, str) for name in extra):
        raise ValueError(f"extra: expected a dict of request fields, got {checks.shown(extra)}")
    for name in extra:
        if name in _TAKEN:
            raise ValueError(f"extra: expected fields that are no arguments here, got {name!r}")
    try:
        return json.loads(json.dumps(dict(extra), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"extra: expected what JSON can hold, got {error}") from error
