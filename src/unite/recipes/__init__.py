"""Recipes in TOML."""
