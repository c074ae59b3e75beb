"""Transport: pairing rules against simulated NATs, ladder, times, network processes, bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, topology
from jaxswarm.network import transport

FILTERS = (transport.EIF, transport.ADF, transport.APDF)
NATS = [
    (True, 0, 0),
    *((False, *x) for x in itertools.product((transport.EIM, transport.EDM), FILTERS)),
]


class Box:
    """A host behind a NAT, packet by packet; addresses are ``(box, port)``."""

    def __init__(self, name, public, mapping, filtering):
        self.name, self.public, self.mapping, self.filtering = name, public, mapping, filtering
        self.ports, self.written = {}, {}  # destination -> port; port -> destinations

    def send(self, destination):
        """Source address that the destination sees."""
        if self.public:
            return self.name, 0
        wanted = destination if self.mapping == transport.EDM else None
        port = self.ports.setdefault(wanted, len(self.ports) + 1)
        self.written.setdefault(port, set()).add(destination)
        return self.name, port

    def receives(self, port, source):
        if self.public:
            return port == 0
        if port not in self.written:
            return False
        known = self.written[port]
        if self.filtering == transport.EIF:
            return True
        if self.filtering == transport.ADF:
            return source[0] in {name for name, _ in known}
        return source in known


def simultaneous_opening(one, other):
    """Whether one packet gets through, and its answer back."""
    relay = ("relay", 0)
    a, b = Box("a", *one), Box("b", *other)
    seen_a, seen_b = a.send(relay), b.send(relay)
    from_a, from_b = a.send(seen_b), b.send(seen_a)  # both send before any packet arrives
    through = []
    for sender, receiver, source, target in ((a, b, from_a, seen_b), (b, a, from_b, seen_a)):
        if receiver.receives(target[1], source):
            # The answer leaves from the port that was written to, to where the packet came from.
            assert sender.receives(source[1], target)
            through.append(True)
    return bool(through)


def of_nats(nats, upnp=None):
    public, mapping, filtering = (jnp.array(x) for x in zip(*nats, strict=True))
    n = len(nats)
    upnp = jnp.zeros(n, bool) if upnp is None else jnp.array(upnp)
    return transport.Peers(
        public, mapping, filtering, upnp, jnp.zeros(n, jnp.int32), jnp.full(n, 1e6)
    )


def test_pairing_rules_are_those_of_simulated_nats():
    pairs = list(itertools.product(range(len(NATS)), repeat=2))
    first, second = (np.array(x) for x in zip(*pairs, strict=True))
    twice = of_nats(NATS * 2)  # so that a kind meets another peer of its kind
    found = transport.connects(twice, first, second + len(NATS))
    wanted = [simultaneous_opening(NATS[i], NATS[j]) for i, j in pairs]
    np.testing.assert_array_equal(found, wanted)
    assert not all(wanted)


def test_the_ladder_rises_by_inclusion_to_all_pairs():
    mix = {"public": 0.1, "full_cone": 0.3, "port_restricted": 0.3, "symmetric": 0.3}
    found = transport.peers(jax.random.key(0), 300, nat=mix, upnp=0.2)
    first, second = np.triu_indices(300, 1)
    rungs = [np.asarray(transport.connects(found, first, second, x)) for x in transport.LEVELS]
    for below, above in itertools.pairwise(rungs):
        assert not (below & ~above).any()
        assert below.mean() < above.mean()
    assert rungs[-1].all()
    assert not transport.connects(found, first, first, "relay").any()


def test_default_mix_lets_seventy_percent_punch_by_the_rules_alone():
    found = transport.peers(jax.random.key(1), 1000)
    first, second = np.triu_indices(1000, 1)
    share = float(transport.connects(found, first, second).mean())
    shares = transport.MIX
    symmetric, strict = shares["symmetric"], shares["port_restricted"]
    assert abs(share - (1 - symmetric**2 - 2 * symmetric * strict)) < 0.05


def test_a_peer_is_the_same_whatever_the_number_of_others():
    few, many = (transport.peers(jax.random.key(2), n, regions=3) for n in (4, 9))
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y[:4]), few, many)


EARTH = [[0.01, 0.1], [0.1, 0.02]]


def test_round_trips_have_their_median_and_spread():
    earth = transport.regions(EARTH, jitter=0.3)
    drawn = np.asarray(
        transport.round_trips(jax.random.key(0), earth, np.zeros(4000, int), np.ones(4000, int))
    )
    assert abs(np.median(drawn) - 0.1) < 0.003
    assert abs(np.log(drawn).std() - 0.3) < 0.015


def test_setup_and_transfer_times():
    assert float(transport.setup_seconds(0.1)) == pytest.approx(0.1)
    assert float(transport.setup_seconds(0.1, protocol="tcp")) == pytest.approx(0.3)
    punched = transport.setup_seconds(0.1, protocol="tcp", relay_round_trip=0.2)
    assert float(punched) == pytest.approx(0.3 + 0.2 * 5.5)
    # A window of 64 KiB a round trip of .1 s is less than the bandwidth.
    assert float(transport.transfer_seconds(655360, 0.1, 1e9)) == pytest.approx(0.05 + 1.0)
    assert float(transport.transfer_seconds(1e6, 0.001, 1e6)) == pytest.approx(1.0005)


def test_punching_fails_where_times_jitter_more_than_the_window():
    at = np.zeros(2000, int)
    calm, wild = (transport.regions([[0.2]], jitter=j) for j in (0.05, 2.0))
    met, used = transport.punches(jax.random.key(0), calm, at, at)
    assert bool(met.all())
    assert int(used.max()) == 1
    once, _ = transport.punches(jax.random.key(0), wild, at, at, tries=1)
    thrice, used = transport.punches(jax.random.key(0), wild, at, at, tries=3)
    assert float(once.mean()) < float(thrice.mean()) < 1.0
    assert set(np.unique(used)) == {1, 2, 3}


def test_links_carry_gossip_and_unreachable_pairs_get_nothing():
    graph = topology.ring(8)
    kinds = [NATS[6], NATS[6], *([NATS[0]] * 6)]  # two symmetric NATs side by side
    found, earth = of_nats(kinds), transport.regions([[0.1]], jitter=0.0)
    alone = transport.links(jax.random.key(0), graph, found, earth, relay_region=None)
    reverse = np.asarray(topology.reverse_slots(graph))
    np.testing.assert_array_equal(alone.direct, np.asarray(alone.direct)[reverse])
    assert int((~alone.direct).sum()) == 2
    assert not alone.relayed.any()
    relayed = transport.links(jax.random.key(0), graph, found, earth, message_bytes=1e5)
    assert bool((relayed.direct ^ relayed.relayed).all())
    assert float(relayed.round_trip[np.argmax(relayed.relayed)]) == pytest.approx(0.2)
    assert transport.round_delays(relayed, 0.1).min() >= 1
    rule = gossip.averaging(gossip.mixing(graph))
    x = jnp.arange(8.0)
    quick = transport.over(alone, round_seconds=1.0)
    _, exchange = quick.step(jax.random.key(1), (), 0)
    mixed, _, _ = rule.mix(jax.random.key(2), x, (), exchange)
    cut = gossip.mixing(graph).restrict(delivered=alone.direct)
    np.testing.assert_allclose(mixed, cut.dense() @ x, rtol=1e-6)
    late = transport.over(relayed, round_seconds=0.01).step(jax.random.key(1), (), 0)[1]
    assert not late.delivered.any()
    lossy = transport.over(relayed, round_seconds=10.0, loss=0.5)
    keys = jax.random.split(jax.random.key(3), 200)
    arrived = jax.vmap(lambda k: lossy.step(k, (), 0)[1].delivered)(keys)
    assert abs(float(arrived.mean()) - 0.5) < 0.05


def slow_requests(halves, size, bandwidth, service, width):
    """The same closed loop in plain Python, request by request."""
    arrives = [(float(halves[i, 0]), 0.0) for i in range(width)]
    link = server = 0.0
    finished, seconds = [], []
    for out, back in halves[width:]:
        slot = min(range(width), key=lambda i: arrives[i][0])
        at, sent = arrives[slot]
        link = max(at, link) + size / bandwidth
        server = max(link, server) + service
        done = server + float(back)
        finished.append(done)
        seconds.append(done - sent)
        arrives[slot] = (done + float(out), done)
    return finished, seconds


def test_requests_are_those_of_a_plain_loop_and_below_the_bound():
    width, count, trip = 5, 60, 0.04
    options = {"size": 2e4, "bandwidth": 4e6, "service": 0.002, "in_flight": width}
    key = jax.random.key(4)
    found = jax.jit(lambda key: transport.requests(key, trip, count=count, jitter=0.3, **options))(
        key
    )
    normal = np.asarray(jax.random.normal(key, (count + width, 2)))
    wanted = slow_requests(trip / 2 * np.exp(0.3 * normal), 2e4, 4e6, 0.002, width)
    np.testing.assert_allclose(found.finished, wanted[0], rtol=1e-4)
    np.testing.assert_allclose(found.seconds, wanted[1], rtol=1e-3)
    calm = jax.jit(lambda key: transport.requests(key, trip, count=400, jitter=0.0, **options))(key)
    rate = 200.0 / float(calm.finished[-1] - calm.finished[-201])
    bound = float(transport.request_bound(trip, **options))
    assert 0.9 * bound < rate <= 1.001 * bound


def test_request_bound_is_that_of_the_scarcest_of_three():
    of = transport.request_bound
    assert float(of(1.0, size=100, in_flight=10)) == pytest.approx(10, rel=0.01)  # in flight
    assert float(of(0.001, size=1e6, bandwidth=1e7)) == pytest.approx(10)  # link
    assert float(of(0.001, size=100, service=0.1)) == pytest.approx(10)  # server


KEY = jax.random.key
SMALL = lambda: transport.peers(KEY(0), 4)  # noqa: E731
LINKS = lambda **x: transport.links(  # noqa: E731
    KEY(0), topology.ring(4), SMALL(), transport.regions([[0.1]]), **x
)
BAD = {
    "no peers": (lambda: transport.peers(KEY(0), 0), "count: expected"),
    "kind": (lambda: transport.peers(KEY(0), 2, nat={"cone": 1.0}), "nat"),
    "shares": (lambda: transport.peers(KEY(0), 2, nat={"symmetric": 0.5}), "nat: expected shares"),
    "share": (lambda: transport.peers(KEY(0), 2, nat={"symmetric": 2.0}), "nat"),
    "upnp": (lambda: transport.peers(KEY(0), 2, upnp=1.5), "upnp: expected"),
    "regions": (lambda: transport.peers(KEY(0), 2, regions=0), "regions: expected"),
    "bandwidth": (lambda: transport.peers(KEY(0), 2, bandwidth=0.0), "bandwidth: expected"),
    "unknown peer": (lambda: transport.connects(SMALL(), 0, 4), "second: expected"),
    "shapes": (lambda: transport.connects(SMALL(), [0, 1], [2]), "second: expected the shape"),
    "level": (lambda: transport.connects(SMALL(), 0, 1, "magic"), "level"),
    "asymmetric": (lambda: transport.regions([[1.0, 2.0], [3.0, 1.0]]), "round_trip: expected"),
    "no time": (lambda: transport.regions([[0.0]]), "round_trip: expected"),
    "jitter": (lambda: transport.regions([[1.0]], jitter=-0.1), "jitter: expected"),
    "region": (
        lambda: transport.round_trips(KEY(0), transport.regions([[1.0]]), 0, 1),
        "second: expected",
    ),
    "protocol": (lambda: transport.setup_seconds(1.0, protocol="carrier"), "protocol"),
    "negative time": (lambda: transport.setup_seconds(-1.0), "round_trip: expected"),
    "window": (
        lambda: transport.punches(KEY(0), transport.regions([[1.0]]), 0, 0, window=0.0),
        "window: expected",
    ),
    "tries": (
        lambda: transport.punches(KEY(0), transport.regions([[1.0]]), 0, 0, tries=0),
        "tries: expected",
    ),
    "size": (lambda: transport.transfer_seconds(-1.0, 1.0, 1.0), "size: expected"),
    "directed": (
        lambda: transport.links(
            KEY(0), topology.directed_ring(4), SMALL(), transport.regions([[0.1]])
        ),
        "a transport",
    ),
    "number": (
        lambda: transport.links(KEY(0), topology.ring(5), SMALL(), transport.regions([[0.1]])),
        "peers: expected 5 as the topology has, got 4",
    ),
    "relay": (lambda: LINKS(relay_region=1), "relay_region: expected"),
    "bytes": (lambda: LINKS(message_bytes=-1.0), "message_bytes: expected"),
    "round": (lambda: transport.over(LINKS(), round_seconds=0.0), "round_seconds: expected"),
    "loss": (lambda: transport.over(LINKS(), round_seconds=1.0, loss=2.0), "loss: expected"),
    "request size": (lambda: transport.requests(KEY(0), 0.1, size=0.0), "size: expected"),
    "request trip": (lambda: transport.requests(KEY(0), -0.1, size=1.0), "round_trip: expected"),
    "service": (
        lambda: transport.requests(KEY(0), 0.1, size=1.0, service=0.0),
        "service: expected",
    ),
    "in flight": (
        lambda: transport.requests(KEY(0), 0.1, size=1.0, in_flight=0),
        "in_flight: expected",
    ),
    "requests": (
        lambda: transport.requests(KEY(0), 0.1, size=1.0, count=1),
        "count: expected",
    ),
    "request jitter": (
        lambda: transport.requests(KEY(0), 0.1, size=1.0, jitter=-1.0),
        "jitter: expected",
    ),
    "bound": (
        lambda: transport.request_bound(0.1, size=1.0, in_flight=0.0),
        "in_flight: expected",
    ),
    "bandwidth of requests": (
        lambda: transport.request_bound(0.1, size=1.0, bandwidth=-1.0),
        "bandwidth: expected",
    ),
    "no links": (lambda: transport.over(3, round_seconds=1.0), "links: expected"),
    "no relay": (
        lambda: transport.round_delays(LINKS(level="none"), 1.0),
        "links: expected a connection along every edge",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
