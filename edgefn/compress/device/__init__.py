"""Devices that variants are made for: what they have, and how fast they are."""
