"""One file for each library that reaches CUDA; found by name, imported on use."""
