"""One script per published system; ``python -m experiments list``."""

# name -> module; what such a module holds is said by harness.Experiment.
SYSTEMS: dict[str, str] = {
    "dadao": "experiments.dadao",
}
