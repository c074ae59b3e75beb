"""Sizes of the verified-inference experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of models, tampered runs, committees, attacks on split networks and texts."""

    seeds: int = 5  # independent models, committees, attacks and permutations, at least 2
    data: str = "digits"  # images: digits, or mnist (from the folder JAXSWARM_DATA)
    train_images: int = 1_000  # images that train the models
    shadow_images: int = 400  # images of the attacker on split networks
    test_images: int = 350  # images of accuracies, committees and attacks
    widths: tuple[int, ...] = (64, 32, 16)  # hidden layers of the perceptron; a cut after each
    steps: int = 400  # gradient steps of each perceptron
    batch: int = 64  # images of a gradient step
    learning_rate: float = 5e-3  # Adam's largest step size of the perceptrons
    smaller: float = 0.25  # share of the hidden units of the smaller model
    noise: float = 0.1  # noise on a cut, over the activation's root mean square
    penalty: float = 0.3  # weight of the distance correlation
    penalty_rows: int = 32  # images of a batch over which it is taken
    attacked_images: int = 48  # test images whose activations are inverted
    decoder_hidden: int = 96  # width of the decoder of the black-box attack
    decoder_steps: int = 400  # gradient steps of the decoder
    search_steps: int = 150  # gradient steps of the white-box attack
    pull: float = 0.01  # weight of the mean image in the white-box attack
    honest: int = 500  # honest inferences that are proved and checked
    tampered: int = 10_000  # tampered inferences at each modulus, over all kinds
    forged: int = 200  # forged answers of the committed linear layer
    rows: tuple[int, ...] = (1, 16, 256)  # rows of a batch whose cost is counted
    costs: tuple[int, ...] = (64, 256, 1024, 4096)  # widths whose cost is counted
    transformer_width: int = 24  # width of the two-layer transformer
    transformer_steps: int = 200  # its gradient steps
    nodes: int = 1_000  # nodes of the network of committees
    requests: int = 2_000  # requests of each seed, share of Byzantine nodes and committee size
    byzantine: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4)  # shares of nodes in a coalition
    sizes: tuple[int, ...] = (3, 5, 7)  # members of a committee, odd
    calibration_rate: float = 1e-3  # share of honest distances above the tolerance
    stake_rounds: int = 60  # rounds in which stakes are settled
    stake_requests: int = 100  # requests of such a round
    stake_byzantine: float = 0.3  # share of Byzantine nodes there
    stake_size: int = 5  # members of a committee there
    stake_penalty: float = 0.5  # share of a stake that a deviation costs
    lengths: tuple[int, ...] = (500, 2_000, 10_000)  # tokens of permuted texts, ascending
    words: int = 120  # vocabulary of words
    restarts: int = 4  # restarts of the attack on permutations
    heat: float = 2e-3  # temperature of a restart at its start, in nats per pair
    swaps: int = 6_000  # swaps of a restart with the vocabulary of characters
    seed: int = 0  # base seed of all runs

    @property
    def claims(self) -> int:
        """Honest claims of each model, and size of the batches in which claims are checked."""
        return max(1, self.honest // (2 * self.seeds))

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if len(self.widths) < 2:
            raise ValueError(f"widths: expected at least 2 layers, got {self.widths}")
        if max(self.widths) > 120:
            raise ValueError(
                f"widths: expected at most 120, which the field of 251 holds, got {self.widths}"
            )
        if any(size % 2 == 0 for size in self.sizes):
            raise ValueError(f"sizes: expected odd numbers, got {self.sizes}")
        if not self.byzantine or not all(0 < share < 0.5 for share in self.byzantine):
            raise ValueError(f"byzantine: expected shares in (0, 0.5), got {self.byzantine}")
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths: expected ascending numbers, got {self.lengths}")


SCALES = {
    "smoke": Config(
        seeds=2, train_images=200, shadow_images=60, test_images=60, widths=(16, 8), steps=30,
        attacked_images=8, decoder_hidden=8, decoder_steps=10, search_steps=10, honest=8,
        tampered=80, forged=4, rows=(1, 16), costs=(64, 1024), transformer_width=8,
        transformer_steps=10, nodes=40, requests=50, byzantine=(0.2, 0.4), sizes=(3, 5),
        stake_rounds=5, stake_requests=10, lengths=(100, 300), words=30, restarts=2, swaps=300,
    ),
    "small": Config(),
    # The paper's regime is models of billions of parameters on nodes that do not trust each other.
    "full": Config(
        seeds=10, widths=(120, 96, 64, 32), steps=1_500, decoder_hidden=256, decoder_steps=1_000,
        search_steps=400, honest=2_000, tampered=40_000, forged=1_000, transformer_width=64,
        transformer_steps=800, nodes=10_000, requests=4_000, sizes=(3, 5, 7, 9, 11),
        stake_rounds=100, lengths=(500, 2_000, 10_000, 30_000), words=300, restarts=8, swaps=8_000,
    ),
}  # fmt: skip
