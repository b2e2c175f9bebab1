// The kernels' own sources, for a CPU: the words of CUDA that they use, and a loop in place of a launch.
//
// A block of more than one thread whose threads wait for each other runs on as many real threads. Blocks
// run one after the other, so that shared memory may be static.
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#define __host__
#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(threads, blocks)

struct Index {
    unsigned int x, y, z;
};
static thread_local Index threadIdx, blockIdx;
static Index blockDim;

class Barrier {
  public:
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const unsigned long round = round_;
        if (++waiting_ == blockDim.x) {
            waiting_ = 0;
            ++round_;
            all_here_.notify_all();
        } else {
            all_here_.wait(lock, [&] { return round != round_; });
        }
    }

  private:
    std::mutex mutex_;
    std::condition_variable all_here_;
    unsigned int waiting_ = 0;
    unsigned long round_ = 0;
};
static Barrier barrier;
static void __syncthreads() { barrier.wait(); }

#include "face_crops.cu"
#include "face_detection.cu"
#include "letterbox.cu"

template <typename Call>
static void run_apart(const unsigned int* grid, const unsigned int* block, Call call) {
    blockDim = {block[0], block[1], block[2]};
    for (unsigned int z = 0; z < grid[2]; ++z)
        for (unsigned int y = 0; y < grid[1]; ++y)
            for (unsigned int x = 0; x < grid[0]; ++x)
                for (unsigned int v = 0; v < block[1]; ++v)
                    for (unsigned int u = 0; u < block[0]; ++u) {
                        blockIdx = {x, y, z};
                        threadIdx = {u, v, 0};
                        call();
                    }
}

template <typename Call>
static void run_together(const unsigned int* block, Call call) {
    blockDim = {block[0], 1, 1};
    std::vector<std::thread> threads;
    for (unsigned int rank = 0; rank < block[0]; ++rank) {
        threads.emplace_back([rank, &call] {
            blockIdx = {0, 0, 0};
            threadIdx = {rank, 0, 0};
            call();
        });
    }
    for (std::thread& thread : threads) thread.join();
}

extern "C" {

void run_livegate_letterbox(const unsigned int* grid, const unsigned int* block, const Frame* frame,
                            const Crop* crop) {
    run_apart(grid, block, [&] { livegate_letterbox(*frame, *crop); });
}

void run_livegate_face_crops(const unsigned int* grid, const unsigned int* block, const Frame* frame,
                             const Crop* crops) {
    run_apart(grid, block, [&] { livegate_face_crops(*frame, crops); });
}

void run_livegate_face_detection(const unsigned int*, const unsigned int* block,
                                 const Detection* detection) {
    run_together(block, [&] { livegate_face_detection(*detection); });
}

void convert_to_half(const float* numbers, unsigned short* halves, int count) {
    for (int i = 0; i < count; ++i) halves[i] = half_bits(numbers[i]);
}

// Sizes and the places of the last fields, for a comparison with the structures in Python.
void tell_layout(int* numbers) {
    const int told[] = {sizeof(Frame),      offsetof(Frame, format),      sizeof(Crop),
                        offsetof(Crop, is_rgb), sizeof(Detection),        offsetof(Detection, scale_y),
                        sizeof(FoundFaces), sizeof(FoundFace),            sizeof(Candidate),
                        offsetof(Crop, left)};
    for (int number : told) *numbers++ = number;
}
}
