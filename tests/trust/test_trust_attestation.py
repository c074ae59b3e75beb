"""Simulated attestation: measurement, signatures, freshness, expiry, revocation, bad quotes."""

import dataclasses
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.trust import attestation

pytest.importorskip("cryptography")


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def run(weights, x):
    return jnp.tanh(weights["a"] * x)


WEIGHTS = {"a": np.float32(2.0)}
X = np.arange(3, dtype=np.float32)


@pytest.fixture(scope="module")
def parts():
    root, clock = attestation.SimulatedRoot(), Clock()
    executor = attestation.SimulatedAttestedExecutor(
        run, WEIGHTS, X, root, serial=7, lifetime=10.0, slowdown=3.0, clock=clock
    )
    return root, clock, executor


@pytest.fixture
def verifier(parts):
    root, clock, executor = parts
    clock.now = 1_000.0
    return attestation.QuoteVerifier(root.public_key, executor.measurement, clock=clock)


def test_a_quote_holds_once(parts, verifier):
    done = parts[2].execute(X, verifier.challenge())
    assert done.simulated_seconds == pytest.approx(3.0 * done.seconds)
    report = verifier.check(done.quote, X, done.output)
    assert report == attestation.Report(True, "accepted", simulated=True, confidential=False)
    assert done.simulated
    assert done.quote.simulated
    assert verifier.check(done.quote, X, done.output).reason == "replayed nonce"


def test_measurement_covers_code_weights_and_constants(parts):
    own = parts[2].measurement
    assert own == attestation.measure(lambda w, v: jnp.tanh(w["a"] * v), WEIGHTS, X + 1)
    assert own != attestation.measure(run, {"a": np.float32(3.0)}, X)
    assert own != attestation.measure(lambda w, v: jnp.sin(w["a"] * v), WEIGHTS, X)
    tables = [jnp.arange(500.0), jnp.arange(500.0).at[250].set(0.0)]
    codes = [attestation.measure(lambda w, v, t=t: v + t.sum() * t[3], 1.0, X) for t in tables]
    big = [attestation.measure(lambda w, v, t=t: v[:1] + t, 1.0, X) for t in tables]
    assert codes[0] != codes[1]
    assert big[0] != big[1]


def test_each_fault_is_refused_by_name(parts, verifier):
    root, clock, executor = parts
    done = executor.execute(X, verifier.challenge())
    check = verifier.check

    def signed(**changes):
        return root.sign(dataclasses.replace(done.quote, **changes))

    assert check(signed(nonce=bytes(32)), X, done.output).reason == "unknown nonce"
    assert check(signed(measurement=bytes(32)), X, done.output).reason == "wrong measurement"
    assert check(done.quote, X + 1, done.output).reason == "other inputs"
    assert check(done.quote, X, done.output + 1).reason == "other output"
    forged = attestation.SimulatedRoot().sign(done.quote)
    assert check(forged, X, done.output).reason == "wrong signature"
    longer = dataclasses.replace(done.quote, expires=done.quote.expires + 1e6)
    assert check(longer, X, done.output).reason == "wrong signature"
    clock.now = 999.0
    assert check(done.quote, X, done.output).reason == "not yet valid"
    clock.now = 1_010.0
    assert check(done.quote, X, done.output).reason == "expired"
    clock.now = 1_009.0
    verifier.revoke(7)
    assert check(done.quote, X, done.output).reason == "revoked"


def test_malformed_quotes_raise_nothing(parts, verifier):
    done = parts[2].execute(X, verifier.challenge())
    rng = np.random.default_rng(0)
    fields = [field.name for field in dataclasses.fields(attestation.Quote)]
    junk = [None, b"", b"x" * 31, -1, 1.5, float("nan"), "text", [], True, False, bytes(64)]
    for _ in range(1_000):
        changes = {str(rng.choice(fields)): junk[rng.integers(len(junk))]}
        quote = dataclasses.replace(done.quote, **changes)
        if quote != done.quote:
            assert not verifier.check(quote, X, done.output).accepted
    for quote in (None, b"quote", 3, object()):
        assert verifier.check(quote, X, done.output).reason == "malformed quote"
    for place in range(64):
        signature = bytearray(done.quote.signature)
        signature[place] ^= 1
        quote = dataclasses.replace(done.quote, signature=bytes(signature))
        assert verifier.check(quote, X, done.output).reason == "wrong signature"
    assert verifier.check(done.quote, X, done.output).accepted


def test_the_private_key_does_not_leave(parts):
    root = parts[0]
    assert root.public_key.hex() in repr(root)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(root)
    with pytest.raises(TypeError):
        dataclasses.asdict(root)


def test_bad_input(parts):
    root, _, executor = parts
    make = attestation.SimulatedAttestedExecutor
    cases = [
        (lambda: make(run, WEIGHTS, X, "root"), "root: expected"),
        (lambda: make(run, WEIGHTS, X, root, lifetime=0.0), "lifetime: expected"),
        (lambda: make(run, WEIGHTS, X, root, slowdown=0.5), "slowdown: expected"),
        (lambda: make(run, WEIGHTS, X, root, serial=-1), "serial: expected"),
        (lambda: make(run, WEIGHTS, X, root, clock=3), "clock: expected"),
        (lambda: make(3, WEIGHTS, X, root), "run: expected"),
        (lambda: executor.execute(X, b"short"), "nonce: expected"),
        (lambda: attestation.QuoteVerifier(b"x", bytes(32)), "public_key: expected"),
        (lambda: attestation.QuoteVerifier(bytes(32), b"x"), "measurement: expected"),
        (lambda: attestation.QuoteVerifier(bytes(32), bytes(32), revoked=[-1]), "revoked: exp"),
        (lambda: root.sign("quote"), "quote: expected"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
