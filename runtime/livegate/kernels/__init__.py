"""What the CUDA kernels are given: their code for a GPU, and typed parameters for each launch."""
