"""One file for each inference library; found by name, imported on use."""
