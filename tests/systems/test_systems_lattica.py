"""Spread of a model in blocks: laws of a server, of exchange and of flooding; bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.network import transport
from jaxswarm.systems import lattica
from tests.later import Later

N, M, UPLINK = 24, 5, 3
PEERS = Later(transport.peers, jax.random.key(0), N)
FULL = Later(transport.peers, jax.random.key(0), N, nat={"full_cone": 1.0})


@pytest.fixture(scope="module")
def run():
    """Programs of each method with traced churn, share and relays, compiled once."""
    compiled = {}

    def call(method, key=1, leaves=0.0, share=1.0, relays=False, peers=PEERS, max_slots=3000):
        name = (method, id(peers), max_slots)
        if name not in compiled:
            compiled[name] = jax.jit(
                lambda key, leaves, share, relays: lattica.spread(
                    key, peers.value, M, method=method, server_uplink=UPLINK, leaves=leaves,
                    share=share, use_relays=relays, max_slots=max_slots, degree=4,
                )
            )  # fmt: skip
        return compiled[name](jax.random.key(key), leaves, share, jnp.array(relays))

    return call


def test_a_server_takes_as_long_as_its_uplink_needs_for_all_copies(run):
    found = run("server")
    copies = (N - 1) * M
    assert int(found.copies) == copies
    # At the end fewer peers ask than it could serve.
    assert copies / UPLINK <= int(found.slots) <= copies / UPLINK + M
    assert int(found.relayed) == 0


@pytest.mark.parametrize("method", ["exchange", "server"])
def test_nothing_is_sent_twice_unless_it_was_lost(run, method):
    for key in (1, 2):
        found = run(method, key)
        assert bool(found.finished)
        assert int(found.copies) == (N - 1) * M
        assert int(found.wasted) == 0


def test_exchange_is_sooner_than_a_server_but_no_sooner_than_uplinks_allow(run):
    found = run("exchange")
    # All uplinks together send at most N - 1 + UPLINK blocks a slot; the first block must travel.
    assert int(found.slots) >= max(M / UPLINK, (N - 1) * M / (N - 1 + UPLINK))
    assert int(found.slots) < int(run("server").slots)
    assert int(found.relayed) == 0
    assert int(run("exchange", relays=True).relayed) > 0


def test_flooding_sends_every_block_to_all_neighbors(run):
    found = run("flooding")
    assert bool(found.finished)
    assert int(found.copies) > 2 * (N - 1) * M
    assert int(found.wasted) == int(found.copies) - (N - 1) * M
    assert int(found.relayed) > 0
    assert int(run("flooding", peers=FULL).relayed) == 0


def test_peers_that_leave_start_anew_and_a_share_is_enough(run):
    calm, churned = run("exchange"), run("exchange", leaves=0.02, share=0.9)
    assert int(churned.copies) > int(calm.copies)
    assert float(churned.complete) >= 0.9
    assert int(run("exchange", share=0.5).slots) <= int(calm.slots)
    never = run("exchange", leaves=1.0, max_slots=20)
    assert (bool(never.finished), int(never.slots)) == (False, 20)


def test_eager_is_jit_and_two_peers_are_enough():
    two = transport.peers(jax.random.key(0), 2)
    options = {"server_uplink": 1, "method": "exchange"}
    eager = lattica.spread(jax.random.key(3), two, 1, **options)
    jitted = jax.jit(lambda k: lattica.spread(k, two, 1, **options))(jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, eager, jitted)
    assert (int(eager.copies), bool(eager.finished)) == (1, True)


def spread(**changed):
    given = {"peers": PEERS.value, "blocks": 2, **changed}
    return lattica.spread(jax.random.key(0), given.pop("peers"), given.pop("blocks"), **given)


BAD = {
    "no peers": ({"peers": 3}, "peers: expected"),
    "one peer": ({"peers": Later(transport.peers, jax.random.key(0), 1)}, "peers: expected at"),
    "no blocks": ({"blocks": 0}, "blocks: expected"),
    "method": ({"method": "magic"}, "method"),
    "uplink": ({"server_uplink": 0}, "server_uplink: expected"),
    "degree": ({"degree": 0}, "degree: expected"),
    "leaves": ({"leaves": 1.5}, "leaves: expected"),
    "share": ({"share": -0.1}, "share: expected"),
    "relays": ({"use_relays": 2}, "use_relays: expected"),
    "level": ({"level": "magic"}, "level"),
    "bound": ({"max_slots": 0}, "max_slots: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    given, message = BAD[name]
    given = {k: v.value if isinstance(v, Later) else v for k, v in given.items()}
    with pytest.raises(ValueError, match=message):
        spread(**given)
