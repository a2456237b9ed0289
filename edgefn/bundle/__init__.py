"""What is deployed: building bundles from folders, and storing their files by digest."""
