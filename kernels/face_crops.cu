#include "crop.cuh"

// All crops of all faces of one frame, for all networks, in one launch. Grid: x and y cover the largest
// input, z is the number of crops; `crops` lies in device memory. Threads beside a smaller input have
// nothing to do.
extern "C" __global__ void livegate_face_crops(const Frame frame, const Crop* crops) {
    const Crop crop = crops[blockIdx.z];
    write_pixel(frame, crop, static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x),
                static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y));
}
