"""Alerts: declared and checked, and what becomes of them answer by answer."""
