"""Networks as torch modules, trained to answer as the given model does. Imports torch."""
