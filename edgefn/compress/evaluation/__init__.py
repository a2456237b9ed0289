"""Runs a function on its data, once with each variant of its models, and notes how it does."""
