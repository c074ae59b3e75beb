"""Attested execution as a simulated trust assumption: measured code and weights, signed quotes.

There is no enclave here. A :class:`SimulatedAttestedExecutor` runs a function in this process and
signs what it ran; any code in its process can make it sign anything. It stands for the
assumption "the hardware's root key signs only what was run", so that protocols above it can be
simulated: measurement of code and weights, freshness by nonces, expiry, revocation, a slowdown.
Every quote and report carries ``simulated=True`` and claims no confidentiality.

Signatures are Ed25519 of the package ``cryptography`` (extra ``zk``).

References:
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    2024 (trusted execution environments with attestation).
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.types import PyTree

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "REASONS",
    "Execution",
    "Quote",
    "QuoteVerifier",
    "Report",
    "SimulatedAttestedExecutor",
    "SimulatedRoot",
    "digest",
    "measure",
]

NONCE_BYTES = 32

REASONS = (
    "accepted",
    "malformed quote",
    "wrong signature",
    "wrong measurement",
    "unknown nonce",
    "replayed nonce",
    "not yet valid",
    "expired",
    "revoked",
    "other inputs",
    "other output",
)
"""What a report may say."""


@dataclass(frozen=True)
class Quote:
    """A signed statement that a measured program turned some inputs into some output.

    Attributes:
        measurement: SHA-256 of code and weights, see :func:`measure`.
        inputs: :func:`digest` of the inputs.
        output: :func:`digest` of the output.
        nonce: of the verifier's challenge.
        serial: of the executor, for revocation.
        issued: seconds since the epoch.
        expires: seconds since the epoch.
        signature: Ed25519 by the root, of all of the above.
        simulated: always ``True``: no hardware stands behind the signature.
    """

    measurement: bytes
    inputs: bytes
    output: bytes
    nonce: bytes
    serial: int
    issued: float
    expires: float
    signature: bytes = field(default=b"", repr=False)
    simulated: bool = True

    def message(self) -> bytes:
        """The bytes that are signed: every field but the signature, each with its length."""
        parts = (
            b"simulated quote" if self.simulated else b"quote",
            self.measurement,
            self.inputs,
            self.output,
            self.nonce,
            str(int(self.serial)).encode(),
            float(self.issued).hex().encode(),
            float(self.expires).hex().encode(),
        )
        return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


@dataclass(frozen=True)
class Report:
    """What a verifier found about a quote.

    Attributes:
        accepted: whether the quote holds.
        reason: one of :data:`REASONS`.
        simulated: always ``True``.
        confidential: always ``False``: nothing here hides inputs, weights or outputs.
    """

    accepted: bool
    reason: str
    simulated: bool = True
    confidential: bool = False


@dataclass(frozen=True)
class Execution:
    """Output of an attested run.

    Attributes:
        output: what the function returned.
        quote: the signed statement.
        seconds: measured wall time of the function.
        simulated_seconds: that time, times the executor's slowdown.
        simulated: always ``True``.
    """

    output: PyTree
    quote: Quote
    seconds: float
    simulated_seconds: float
    simulated: bool = True


class SimulatedRoot:
    """A simulated root of trust: an Ed25519 key pair that signs quotes.

    The private key comes from the operating system's random source and stays in this object, which
    neither prints nor pickles it.

    Raises:
        ModuleNotFoundError: without the package ``cryptography`` (extra ``zk``).
    """

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "trust.attestation needs cryptography: pip install jaxswarm[zk]"
            ) from error
        self._key: Ed25519PrivateKey = ed25519.Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, quote: Quote) -> Quote:
        """Return the quote with this root's signature."""
        checks.instance("quote", quote, Quote)
        return replace(quote, signature=self._key.sign(quote.message()))

    def __repr__(self) -> str:
        return f"SimulatedRoot(public_key={self.public_key.hex()})"

    def __reduce__(self) -> Any:
        raise TypeError("SimulatedRoot: expected to stay in its process, got a request to pickle")


class SimulatedAttestedExecutor:
    """Runs a function and signs a quote of code, weights, inputs and output: a trust assumption.

    Args:
        run: ``run(weights, x) -> output``, a pure JAX function.
        weights: its weights.
        example_x: an input of the shape that will be run; the measurement covers the program
            compiled for it.
        root: whose key signs.
        serial: of this executor.
        lifetime: seconds that a quote is valid for.
        slowdown: how many times longer the run takes in an enclave, at least 1.
        clock: returns seconds since the epoch.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> root = SimulatedRoot()
        >>> executor = SimulatedAttestedExecutor(lambda w, x: w * x, 2.0, 1.0, root)
        >>> verifier = QuoteVerifier(root.public_key, executor.measurement)
        >>> done = executor.execute(3.0, verifier.challenge())
        >>> report = verifier.check(done.quote, 3.0, done.output)
        >>> report.accepted, report.simulated, report.confidential
        (True, True, False)
        >>> verifier.check(done.quote, 3.0, done.output).reason
        'replayed nonce'
    """

    def __init__(
        self,
        run: Callable[[PyTree, PyTree], PyTree],
        weights: PyTree,
        example_x: PyTree,
        root: SimulatedRoot,
        *,
        serial: int = 0,
        lifetime: float = 60.0,
        slowdown: float = 1.0,
        clock: Callable[[], float] = time.time,
    ):
        checks.instance("root", root, SimulatedRoot, "SimulatedRoot()")
        checks.real("lifetime", lifetime, above=0.0)
        checks.real("slowdown", slowdown, 1.0)
        checks.function("clock", clock)
        self.serial = checks.whole("serial", serial)
        self.measurement = measure(run, weights, example_x)
        self._run = jax.jit(run)
        self._weights = weights
        self._root = root
        self._lifetime = float(lifetime)
        self._slowdown = float(slowdown)
        self._clock = clock

    def execute(self, x: PyTree, nonce: bytes) -> Execution:
        """Run on ``x`` and sign a quote with the verifier's nonce.

        Raises:
            ValueError: unless the nonce is 32 bytes.
        """
        if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
            raise ValueError(f"nonce: expected {NONCE_BYTES} bytes of a challenge")
        start = time.perf_counter()
        output = jax.block_until_ready(self._run(self._weights, x))
        seconds = time.perf_counter() - start
        now = float(self._clock())
        quote = Quote(
            self.measurement, digest(x), digest(output), nonce, self.serial, now,
            now + self._lifetime,
        )  # fmt: skip
        return Execution(output, self._root.sign(quote), seconds, seconds * self._slowdown)


class QuoteVerifier:
    """Checks quotes against a root's public key, one measurement and fresh nonces.

    Args:
        public_key: 32 bytes, of the root.
        measurement: of the code and weights that are expected, see :func:`measure`.
        revoked: serial numbers of executors whose quotes no longer count.
        clock: returns seconds since the epoch.

    Raises:
        ValueError: for a public key or measurement of another length.
    """

    def __init__(
        self,
        public_key: bytes,
        measurement: bytes,
        *,
        revoked: Iterable[int] = (),
        clock: Callable[[], float] = time.time,
    ):
        for name, value in (("public_key", public_key), ("measurement", measurement)):
            if not isinstance(value, bytes) or len(value) != 32:
                raise ValueError(f"{name}: expected 32 bytes, got {checks.shown(value)}")
        self._public_key = public_key
        self._measurement = measurement
        self._clock = checks.function("clock", clock)
        self._revoked = {checks.whole("revoked", serial) for serial in revoked}
        self._open: set[bytes] = set()
        self._used: set[bytes] = set()

    def challenge(self) -> bytes:
        """A fresh nonce of 32 bytes from the operating system's random source."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._open.add(nonce)
        return nonce

    def revoke(self, serial: int) -> None:
        """Refuse quotes of an executor from now on."""
        self._revoked.add(checks.whole("serial", serial))

    def check(self, quote: Any, x: PyTree, output: PyTree) -> Report:
        """Report whether a quote holds for these inputs and this output.

        The nonce of a quote that holds is used up. Malformed quotes are refused, they raise
        nothing.

        Args:
            quote: what the executor sent.
            x: the inputs that were asked for.
            output: the output that came with the quote.
        """
        reason = self._reason(quote, x, output)
        if reason == REASONS[0]:
            self._open.discard(quote.nonce)
            self._used.add(quote.nonce)
        return Report(reason == REASONS[0], reason)

    def _reason(self, quote: Any, x: PyTree, output: PyTree) -> str:
        if not _is_well_formed(quote):
            return "malformed quote"
        if not _is_signed(quote, self._public_key):
            return "wrong signature"
        if quote.measurement != self._measurement:
            return "wrong measurement"
        if quote.nonce in self._used:
            return "replayed nonce"
        if quote.nonce not in self._open:
            return "unknown nonce"
        now = float(self._clock())
        if now < quote.issued:
            return "not yet valid"
        if now >= quote.expires:
            return "expired"
        if quote.serial in self._revoked:
            return "revoked"
        if quote.inputs != digest(x):
            return "other inputs"
        return "accepted" if quote.output == digest(output) else "other output"


def measure(run: Callable[[PyTree, PyTree], PyTree], weights: PyTree, example_x: PyTree) -> bytes:
    """SHA-256 of a program and its weights.

    The program is what JAX lowers ``run`` to for these shapes, constants included, so renaming a
    variable changes nothing and another operation does. It differs between versions of JAX.

    Args:
        run: ``run(weights, x) -> output``.
        weights: hashed with names, shapes, dtypes and values.
        example_x: only shapes and dtypes count.

    Returns:
        32 bytes.

    Raises:
        ValueError: if ``run`` is no function.

    Example:
        >>> one, same = measure(lambda w, x: w * x, 2.0, 1.0), measure(lambda w, y: w * y, 2.0, 5.0)
        >>> one == same, one == measure(lambda w, x: w * x, 3.0, 1.0)
        (True, False)
    """
    checks.function("run", run)

    def program(weights: PyTree, x: PyTree) -> PyTree:  # one name, whatever that of run
        return run(weights, x)

    text = jax.jit(program).lower(weights, example_x).as_text()
    return hashlib.sha256(hashlib.sha256(text.encode()).digest() + digest(weights)).digest()


def digest(values: PyTree) -> bytes:
    """SHA-256 of a pytree of arrays: structure, shapes, dtypes and bits.

    Returns:
        32 bytes.

    Raises:
        ValueError: for traced arrays.
    """
    leaves, structure = jax.tree.flatten(checks.concrete("values", values))
    found = hashlib.sha256(str(structure).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()


def _is_well_formed(quote: Any) -> bool:
    if not isinstance(quote, Quote) or quote.simulated is not True:
        return False
    texts = (quote.measurement, quote.inputs, quote.output, quote.nonce)
    if not all(isinstance(each, bytes) and len(each) == 32 for each in texts):
        return False
    times = (quote.issued, quote.expires)
    return (
        isinstance(quote.signature, bytes)
        and len(quote.signature) == 64
        and checks.is_whole(quote.serial)
        and all(isinstance(each, float) and np.isfinite(each) for each in times)
    )


def _is_signed(quote: Quote, public_key: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(
            quote.signature, quote.message()
        )
    except InvalidSignature:
        return False
    return True
