"""Exchange of content-addressed blocks: scores of peers, and requests to few or to all of them.

:func:`fetch` gets one block and keeps the client's :class:`History`; ``scan`` it over blocks and
``vmap`` it over clients.
"""

from jaxswarm.network.blocks._fetch import Fetched, check_block, fetch
from jaxswarm.network.blocks._scores import History, history, remembered, scores

__all__ = [
    "Fetched",
    "History",
    "check_block",
    "fetch",
    "history",
    "remembered",
    "scores",
]
