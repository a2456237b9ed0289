"""What runs in a replica, and what both sides of its socket must agree on."""
