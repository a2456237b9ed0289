"""What only a hub does: hold what its fleet should serve, and know what the boxes report."""
