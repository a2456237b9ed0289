"""Where calls go: pure decisions over what is known of each endpoint."""
