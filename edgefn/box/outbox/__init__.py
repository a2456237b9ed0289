"""Events on their way out of the box: stored first, delivered when that is possible, in order."""
