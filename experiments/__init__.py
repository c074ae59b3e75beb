"""One script per published system; ``python -m experiments list``."""

# name -> module; what such a module holds is said by harness.Experiment.
SYSTEMS: dict[str, str] = {
    "byzantine_grid": "experiments.byzantine_grid",
}
