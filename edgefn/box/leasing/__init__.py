"""Leases of a box's replicas: who holds how many of what, and the socket on which they are had."""
