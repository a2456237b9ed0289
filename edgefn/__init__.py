"""Serverless inference at the edge: decorated Python functions, answered within their deadline."""

__version__ = "0.1.0"
