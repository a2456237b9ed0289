"""What a box does as one of a fleet: it holds what it has against what its hub wants."""
