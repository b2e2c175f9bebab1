// A camera's frame, and the colour of one of its pixels.
//
// No header is included: NVRTC brings none, and nothing here needs one. Plain C++ compilers take the
// same text once the words of CUDA are defined for them.
#pragma once

enum FrameFormat { FRAME_BGR = 0, FRAME_NV12 = 1 };

// Width and height are pixels, pitches are bytes from one row to the next. BGR has three bytes a pixel.
// NV12 has a plane of brightness in `pixels`, and in `chroma` half as many rows of pairs (Cb, Cr), one
// for two by two pixels.
struct Frame {
    const unsigned char* pixels;
    const unsigned char* chroma;  // unused for BGR
    int pitch;
    int chroma_pitch;
    int width;
    int height;
    int format;  // FrameFormat
};

struct Colour {
    float blue;
    float green;
    float red;
};

// ITU-R BT.601 with the brightness in 16..235, in steps of 2^-20. OpenCV converts with the same five
// factors and the same rounding, so that a frame has the same colours on either side.
const int BT601_Y = 1220542;         // 1.164
const int BT601_RED_CR = 1673527;    // 1.596
const int BT601_GREEN_CR = 852492;   // 0.813
const int BT601_GREEN_CB = 409993;   // 0.391
const int BT601_BLUE_CB = 2116026;   // 2.018
const int BT601_HALF = 1 << 19;

__host__ __device__ inline float byte_of(int scaled) {
    const int level = scaled >> 20;
    return static_cast<float>(level < 0 ? 0 : (level > 255 ? 255 : level));
}

template <int FORMAT>
__host__ __device__ inline Colour colour_at(const Frame& frame, int x, int y) {
    const unsigned char* row = frame.pixels + static_cast<long long>(y) * frame.pitch;
    if (FORMAT == FRAME_BGR) {
        const unsigned char* pixel = row + 3 * x;
        return {static_cast<float>(pixel[0]), static_cast<float>(pixel[1]),
                static_cast<float>(pixel[2])};
    }
    // Each tap is converted and cut to 0..255 by itself, before the taps are weighed: the CPU does it in
    // that order.
    const unsigned char* pairs = frame.chroma + static_cast<long long>(y / 2) * frame.chroma_pitch;
    const int cb = pairs[2 * (x / 2)] - 128, cr = pairs[2 * (x / 2) + 1] - 128;
    const int light = (row[x] < 16 ? 0 : row[x] - 16) * BT601_Y + BT601_HALF;
    return {byte_of(light + BT601_BLUE_CB * cb),
            byte_of(light - BT601_GREEN_CB * cb - BT601_GREEN_CR * cr),
            byte_of(light + BT601_RED_CR * cr)};
}
