"""Sign-flipping attack, and the control without attack."""

import jax

from jaxswarm import checks
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def no_attack() -> Attack:
    """Send the honest message: the control of an experiment."""

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params, byzantine, exchange
        return messages

    return Attack(forge)


def sign_flip(scale: float | jax.Array = 1.0) -> Attack:
    """Send ``−scale`` times the own message.

    Raises:
        ValueError: if a concrete ``scale`` is not a finite number.
    """
    checks.real("scale", scale)

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params, byzantine, exchange
        return jax.tree.map(lambda x: (-scale * x).astype(x.dtype), messages)

    return Attack(forge)
