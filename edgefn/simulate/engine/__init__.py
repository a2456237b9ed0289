"""The simulation itself: a clock, a heap of events, and what they do."""
