"""Measures variants in replicas: load time, private memory, latency."""
