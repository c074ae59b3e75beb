"""Tests, as a package: an installed one of the same name would be imported instead."""
