"""A soak of consumer groups and administration: see `__main__`."""
