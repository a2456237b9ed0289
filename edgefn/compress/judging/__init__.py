"""Decides about variants: which are good enough, and which of those are worth keeping. Pure."""
