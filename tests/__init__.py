"""Tests, as a package: one installed under the same name would otherwise be imported in its place."""
