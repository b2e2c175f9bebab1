#include "crop.cuh"

// A whole frame, scaled into the top left of the input, padded at the right and below, in one pass: the
// crop of everything, whose inner part is smaller than the input. Grid: x and y cover the input; padding
// is written as well, so the tensor needs no clearing before.
extern "C" __global__ void livegate_letterbox(const Frame frame, const Crop crop) {
    write_pixel(frame, crop, static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x),
                static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y));
}
