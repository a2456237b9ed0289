"""Makes variants by recipes, in a process of their own, each once."""
