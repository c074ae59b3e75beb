"""One script per published system; `python -m experiments list`."""
