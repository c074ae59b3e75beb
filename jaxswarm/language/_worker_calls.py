"""Language models as workers of ``jaxswarm.coordination``: calls as prompts, texts as answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxswarm import checks
from jaxswarm.language._endpoint import Endpoint, Prompt

Call = Mapping[str, Any]
"""``worker``, ``entity``, ``event``, ``demand`` and ``context`` of one call."""


def worker_calls(
    endpoints: Endpoint | Sequence[Endpoint],
    prompt: Callable[[Call], Prompt],
    read: Callable[[str, Call], int | None],
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make the function ``ask`` of ``coordination.host_backend`` and ``coordination.host_worker``.

    Tokens and latency of the replies are passed on. A call that fails after its retries has the
    status ``failed``, a reply that cannot be read ``invalid``. Calls with the same prompt are
    distinguished on a tape, and have seeds of their own, by worker, entity and event.

    Args:
        endpoints: one of each worker, or one that all of them use.
        prompt: ``prompt(call)`` with ``worker``, ``entity``, ``event``, ``demand``, ``context``.
        read: ``read(text, call)``, the number of the answer, ``None`` if there is none.

    Raises:
        ValueError: for what are no endpoints or functions; by the function, for a worker without
            an endpoint.

    Example:
        >>> from jaxswarm import coordination, language
        >>> model = language.openai_compatible("http://127.0.0.1:8000/v1", "small")
        >>> ask = language.worker_calls(
        ...     model,
        ...     lambda call: f"Is {call['entity']} a prime number? Answer 1 for yes, 0 for no.",
        ...     lambda text, call: {"0": 0, "1": 1}.get(text.strip()[-1:]),
        ... )
        >>> backend = coordination.host_backend(ask, num_workers=1, num_answers=2)
        >>> model.close()
    """
    shared = isinstance(endpoints, Endpoint)
    listed: Sequence[Any] = [endpoints] if shared else endpoints  # pyright: ignore
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise ValueError(f"endpoints: expected at least one, got {checks.shown(endpoints)}")
    for each in listed:
        checks.instance("endpoints", each, Endpoint, "language.openai_compatible(…)")
    checks.function("prompt", prompt)
    checks.function("read", read)

    def ask(call: dict[str, Any]) -> dict[str, Any]:
        index = 0 if shared else checks.index("worker", call["worker"], len(listed))
        label = "/".join(str(call[name]) for name in ("worker", "entity", "event"))
        (found,) = listed[index].generate([prompt(call)], labels=[label])
        answer = read(found.text, call)
        known = {} if answer is None else {"answer": answer}
        return known | {
            "tokens_in": found.prompt_tokens,
            "tokens_out": found.completion_tokens,
            "latency": found.latency,
        }

    return ask
