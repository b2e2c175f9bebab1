// One part of a frame as the tensor that a network reads: resize or turn, colour order, scale and mean,
// layout.
//
// A place in the frame is an integer in steps of 2^-40 pixel. In single precision the places of a large
// frame are some ten-thousandths of a pixel off, which is more than the result may be; double precision
// is slow on the devices this is for. Sums of integers are exact, and the same on every device and with
// every compiler.
#pragma once

#include "frame.cuh"

enum CropBorder {
    BORDER_REPLICATE = 0,  // taps outside stay on the edge
    BORDER_PAD = 1,        // taps outside have the value `pad`
};

enum TensorFormat {
    NCHW_FLOAT32 = 0,
    NCHW_FLOAT16 = 1,
    NCHW_UINT8 = 2,
    NHWC_UINT8 = 3,
};

// `frame_from_input` is a (2, 3) affine matrix, row by row, in steps of 2^-40: from input pixels to
// frame pixels, both measured at pixel centres. The caller keeps every place of the input within 2^21
// pixels of the frame's corner, so that no sum overflows, and the region inside the frame.
struct Crop {
    long long frame_from_input[6];
    void* tensor;    // (1, 3, height, width) or (1, height, width, 3) of the format's type
    float scale[3];  // pixel * scale - mean, in the tensor's own colour order; not for bytes
    float mean[3];
    int left;  // the taps: [left, right) x [top, bottom), frame pixels
    int top;
    int right;
    int bottom;
    int width;  // the whole input
    int height;
    int inner_width;  // the part of it that shows the frame; the rest has the value `pad`
    int inner_height;
    int border;  // CropBorder
    int pad;     // 0..255
    int format;  // TensorFormat
    int is_rgb;  // the tensor's colour order; 0 for BGR
};

const int PLACE_BITS = 40;
const int WEIGHT_BITS = 24;  // as many as a float holds

__host__ __device__ inline float weight_of(long long place) {
    const int steps = static_cast<int>((place >> (PLACE_BITS - WEIGHT_BITS)) & ((1 << WEIGHT_BITS) - 1));
    return static_cast<float>(steps) * (1.0f / (1 << WEIGHT_BITS));
}

__host__ __device__ inline int clamped(int value, int first, int end) {
    return value < first ? first : (value >= end ? end - 1 : value);
}

template <int FORMAT>
__host__ __device__ inline Colour tap(const Frame& frame, const Crop& crop, int x, int y) {
    const int inside_x = clamped(x, crop.left, crop.right), inside_y = clamped(y, crop.top, crop.bottom);
    if (crop.border == BORDER_PAD && (inside_x != x || inside_y != y)) {
        const float pad = static_cast<float>(crop.pad);
        return {pad, pad, pad};
    }
    return colour_at<FORMAT>(frame, inside_x, inside_y);
}

__host__ __device__ inline float between(float from, float to, float weight) {
    return from + (to - from) * weight;
}

__host__ __device__ inline Colour between(const Colour& from, const Colour& to, float weight) {
    return {between(from.blue, to.blue, weight), between(from.green, to.green, weight),
            between(from.red, to.red, weight)};
}

// Bilinear, without a filter before shrinking: what OpenCV's INTER_LINEAR does, and what the networks
// were trained on.
template <int FORMAT>
__host__ __device__ inline Colour colour_of_input(const Frame& frame, const Crop& crop, int u, int v) {
    const long long* m = crop.frame_from_input;
    const long long place_x = m[2] + m[0] * u + m[1] * v;
    const long long place_y = m[5] + m[3] * u + m[4] * v;
    // Shifting rounds down, below zero as well.
    const int x = static_cast<int>(place_x >> PLACE_BITS), y = static_cast<int>(place_y >> PLACE_BITS);
    const float across = weight_of(place_x), down = weight_of(place_y);
    const Colour above =
        between(tap<FORMAT>(frame, crop, x, y), tap<FORMAT>(frame, crop, x + 1, y), across);
    const Colour below =
        between(tap<FORMAT>(frame, crop, x, y + 1), tap<FORMAT>(frame, crop, x + 1, y + 1), across);
    return between(above, below, down);
}

// Round to nearest, ties to even, as IEEE 754 says. cuda_fp16.h is not there when NVRTC compiles.
__host__ __device__ inline unsigned short half_bits(float value) {
    union {
        float number;
        unsigned int bits;
    } word = {value};
    const unsigned int sign = (word.bits >> 16) & 0x8000u, magnitude = word.bits & 0x7fffffffu;
    unsigned int half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u;  // not a number
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00u;  // 65520 and more: infinity
    } else if (magnitude >= 0x38800000u) {
        // A carry out of the fraction goes into the exponent, which is right.
        half = (magnitude - 0x38000000u + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
    } else {
        // Below 2^-14: adding a half leaves the subnormal's bits at the end of the sum, rounded by the
        // addition.
        word.bits = magnitude;
        word.number += 0.5f;
        half = word.bits - 0x3f000000u;
    }
    return static_cast<unsigned short>(sign | half);
}

__host__ __device__ inline void store(const Crop& crop, int u, int v, const Colour& colour) {
    const long long pixel = static_cast<long long>(v) * crop.width + u;
    const long long plane = static_cast<long long>(crop.height) * crop.width;
    const float levels[3] = {crop.is_rgb ? colour.red : colour.blue, colour.green,
                             crop.is_rgb ? colour.blue : colour.red};
    for (int channel = 0; channel < 3; ++channel) {
        const float number = levels[channel] * crop.scale[channel] - crop.mean[channel];
        // A weighed mean of bytes stays within 0..255.
        const unsigned char level = static_cast<unsigned char>(levels[channel] + 0.5f);
        switch (crop.format) {
            case NCHW_FLOAT32:
                static_cast<float*>(crop.tensor)[channel * plane + pixel] = number;
                break;
            case NCHW_FLOAT16:
                static_cast<unsigned short*>(crop.tensor)[channel * plane + pixel] = half_bits(number);
                break;
            case NCHW_UINT8:
                static_cast<unsigned char*>(crop.tensor)[channel * plane + pixel] = level;
                break;
            default:
                static_cast<unsigned char*>(crop.tensor)[3 * pixel + channel] = level;
        }
    }
}

template <int FORMAT>
__host__ __device__ inline void write_pixel_of(const Frame& frame, const Crop& crop, int u, int v) {
    const float pad = static_cast<float>(crop.pad);
    const bool is_inner = u < crop.inner_width && v < crop.inner_height;
    store(crop, u, v, is_inner ? colour_of_input<FORMAT>(frame, crop, u, v) : Colour{pad, pad, pad});
}

// One pixel of the tensor; nothing outside of it. The frame's format is the same for a whole launch.
__host__ __device__ inline void write_pixel(const Frame& frame, const Crop& crop, int u, int v) {
    if (u >= crop.width || v >= crop.height) return;
    if (frame.format == FRAME_NV12) {
        write_pixel_of<FRAME_NV12>(frame, crop, u, v);
    } else {
        write_pixel_of<FRAME_BGR>(frame, crop, u, v);
    }
}
