"""Compressed variants of models: made, measured, judged."""
