"""What the boxes of a fleet agree on: what should serve, and what does."""
