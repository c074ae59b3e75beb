"""One call through the package ``openai``, with its errors and replies read for an endpoint."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jaxswarm.language._attempts import EndpointError, seconds_to_wait

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Reply(NamedTuple):
    """What is read of a reply and kept on a tape; missing token counts are ``None``."""

    text: str
    finished: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    latency: float


def connect(base_url: str, key: str | None, timeout: float) -> Any:
    """Make a client; it connects at the first call, and retries nothing by itself."""
    import openai

    local = urlsplit(base_url).hostname in _LOOPBACK
    client = openai.OpenAI(
        base_url=base_url,
        api_key=key or "none",  # else the client looks for one in the environment
        organization="",
        project="",
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=False) if local else None,
    )
    client.organization = client.project = None  # of the environment, for another server
    return client


def send(
    client: Any,
    api: str,
    request: dict[str, Any],
    extra: dict[str, Any],
    now: Callable[[], float],
) -> Reply:
    """Send a request and read the reply.

    Raises:
        EndpointError: if it fails, or the reply has no text.
    """
    route = client.completions if api == "completions" else client.chat.completions
    start = now()
    found = _called(lambda: route.create(**request, extra_body=extra or None))
    latency = 1000.0 * (now() - start)
    try:
        choice = found.choices[0]
        text = choice.text if api == "completions" else choice.message.content
        reason = choice.finish_reason
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise _malformed(found) from error
    if text is None and reason == "length":  # all tokens went into hidden reasoning
        text = ""
    if not isinstance(text, str):
        raise _malformed(found)
    usage = getattr(found, "usage", None)
    read, written = (
        _count(getattr(usage, name, None)) for name in ("prompt_tokens", "completion_tokens")
    )
    return Reply(text, reason == "stop", read, written, latency)


def list_models(client: Any) -> list[str]:
    """Names of the models of a server.

    Raises:
        EndpointError: if the call fails, or the reply is no list.
    """
    found = _called(client.models.list)
    try:
        names = [model.id for model in found.data]
    except (AttributeError, TypeError) as error:
        raise _malformed(found) from error
    return names


def _called(call: Callable[[], Any]) -> Any:
    """The result of a call, whose errors become endpoint errors without its headers."""
    import openai

    try:
        return call()
    except openai.APITimeoutError:
        failure = EndpointError("the server sent no reply in time", "timeout")
    except openai.APIConnectionError as error:
        reason = f" ({error.__cause__})" if error.__cause__ else ""
        failure = EndpointError(f"no connection to the server{reason}", "connection")
    except openai.APIStatusError as error:
        refused = error.status_code in (401, 403)  # such texts may repeat parts of a key
        body = error.body if isinstance(error.body, dict) else {}
        said = "key refused" if refused else str(body.get("message", error.message))[:300]
        failure = EndpointError(
            f"HTTP status {error.status_code}: {said}",
            "status",
            error.status_code,
            seconds_to_wait(error.response.headers),
        )
    except (openai.APIError, json.JSONDecodeError, UnicodeDecodeError) as error:
        failure = EndpointError(
            f"expected a reply in JSON, got one that is not ({error})", "malformed"
        )
    raise failure from None


def _malformed(found: Any) -> EndpointError:
    return EndpointError(
        f"expected a reply with choices and a text, got {type(found).__name__} {found!r:.200}",
        "malformed",
    )


def _count(value: Any) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if good else None
