"""How many replicas each function should have."""
