#include "face_detection.cuh"

// Greedy NMS without sorting: whoever is best among those left is found next, at most `max_faces` times.
// So the result does not hang on the order in which threads run, there is no list that could overflow,
// and what a round costs is one look at each cell.
//
// One block of a power of two of threads, at most MAX_THREADS. A thread looks after each blockDim.x-th
// cell. A second block never shares the processor: without that word the compiler saves registers for
// one, and spills on sm_90.
const int MAX_THREADS = 512;

__device__ inline Best best_of_block(Best* shared, const Best& own) {
    const int rank = static_cast<int>(threadIdx.x);
    shared[rank] = own;
    __syncthreads();
    for (int half = static_cast<int>(blockDim.x) / 2; half > 0; half /= 2) {
        if (rank < half && is_better(shared[rank + half], shared[rank])) {
            shared[rank] = shared[rank + half];
        }
        __syncthreads();
    }
    const Best best = shared[0];
    __syncthreads();  // nobody writes the next round before everybody has read this one
    return best;
}

extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1)
    livegate_face_detection(const Detection detection) {
    __shared__ Best shared[MAX_THREADS];
    const int rank = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    const int cells = cell_count(detection);
    FoundFace* faces = reinterpret_cast<FoundFace*>(detection.found + 1);
    for (int grid = rank; grid < MAX_GRIDS; grid += threads) detection.found->is_not_finite[grid] = 0;
    __syncthreads();

    Best own = {NO_CANDIDATE, -1};
    for (int number = rank; number < cells; number += threads) {
        const Candidate candidate = candidate_at(detection, number, detection.found->is_not_finite);
        detection.candidates[number] = candidate;
        if (candidate.score > own.score) own = {candidate.score, number};
    }

    int count = 0;
    while (count < detection.max_faces) {
        const Best best = best_of_block(shared, own);
        if (best.number < 0) break;
        if (rank == 0) faces[count] = face_at(detection, best.number, best.score);
        ++count;
        // Not its score, which the thread that looks after it is about to change.
        const Candidate& place = detection.candidates[best.number];
        const Candidate better = {best.score, place.left, place.top, place.width, place.height};
        own = {NO_CANDIDATE, -1};
        for (int number = rank; number < cells; number += threads) {
            Candidate& candidate = detection.candidates[number];
            if (candidate.score == NO_CANDIDATE) continue;
            if (number == best.number || gives_way(candidate, better, detection.max_iou)) {
                candidate.score = NO_CANDIDATE;  // its place and size stay: other threads read them
            } else if (candidate.score > own.score) {
                own = {candidate.score, number};
            }
        }
    }
    if (rank == 0) detection.found->count = count;
}
