"""Tests of the small world; a package, so that its readers can be imported."""
