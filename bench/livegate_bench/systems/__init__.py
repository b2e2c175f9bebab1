"""Systems under test: one file each, its name with - for _ is the system's."""
