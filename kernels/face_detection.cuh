// YuNet's grids into faces, and who overlaps a better face.
//
// The equations: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023). For the
// cell at (row, column) of a grid with stride s: score = sqrt(class * object), both cut to 0..1; centre
// = ((column, row) + box[0:2]) * s; size = exp(box[2:4]) * s; landmark k = ((column, row) + landmarks[2k
// : 2k + 2]) * s.
#pragma once

const int MAX_GRIDS = 4;
const int LANDMARKS = 5;

// The four outputs of one stride, row by row: (rows * columns) x 1, 1, 4, 10.
struct Grid {
    const float* class_score;
    const float* object_score;
    const float* box;
    const float* landmarks;
    int columns;
    int rows;
    int stride;  // input pixels
};

struct FoundFace {
    float score;  // 0..1
    float left;   // frame pixels
    float top;
    float width;
    float height;
    float landmarks[2 * LANDMARKS];
};

// What comes back to the host, followed in memory by `max_faces` of FoundFace by falling score.
struct FoundFaces {
    int count;
    int is_not_finite[MAX_GRIDS];  // 1: numbers of that grid are not finite; the faces do not count
};

// One for each cell, in device memory, written and read by the kernel alone.
struct Candidate {
    float score;  // NO_CANDIDATE: too low, or overlaps a better face, or is found
    float left;   // input pixels
    float top;
    float width;
    float height;
};

struct Detection {
    Grid grids[MAX_GRIDS];
    Candidate* candidates;
    FoundFaces* found;
    int grid_count;
    int max_faces;
    float min_score;
    float max_iou;
    float scale_x;  // input pixels for one frame pixel
    float scale_y;
};

const float NO_CANDIDATE = -1.0f;
const float LARGEST = 3.402823466e38f;

__host__ __device__ inline bool is_finite(float value) {
    return value >= -LARGEST && value <= LARGEST;
}

// Keeps what is not a number.
__host__ __device__ inline float cut_to_1(float value) {
    return value < 0.0f ? 0.0f : (value > 1.0f ? 1.0f : value);
}

struct Cell {
    int grid;
    int index;  // row by row
    int column;
    int row;
};

__host__ __device__ inline int cell_count(const Detection& detection) {
    int count = 0;
    for (int grid = 0; grid < detection.grid_count; ++grid) {
        count += detection.grids[grid].columns * detection.grids[grid].rows;
    }
    return count;
}

// Cells are numbered through all grids, in their order.
__host__ __device__ inline Cell cell_at(const Detection& detection, int number) {
    Cell cell = {0, number, 0, 0};
    for (int grid = 0; grid < detection.grid_count; ++grid) {
        const int cells = detection.grids[grid].columns * detection.grids[grid].rows;
        if (cell.index < cells) break;
        cell.index -= cells;
        ++cell.grid;
    }
    cell.column = cell.index % detection.grids[cell.grid].columns;
    cell.row = cell.index / detection.grids[cell.grid].columns;
    return cell;
}

__host__ __device__ inline float landmark_at(const Grid& grid, const Cell& cell, int number) {
    const int origin = number % 2 == 0 ? cell.column : cell.row;
    const float offset = grid.landmarks[2 * LANDMARKS * cell.index + number];
    return (static_cast<float>(origin) + offset) * static_cast<float>(grid.stride);
}

// The face of a cell. Where a number is not finite, that of its grid in `is_not_finite` becomes 1; no
// other is touched.
__host__ __device__ inline Candidate candidate_at(const Detection& detection, int number,
                                                  int* is_not_finite) {
    const Cell cell = cell_at(detection, number);
    const Grid& grid = detection.grids[cell.grid];
    const float class_score = cut_to_1(grid.class_score[cell.index]);
    const float object_score = cut_to_1(grid.object_score[cell.index]);
    Candidate candidate = {sqrtf(class_score * object_score), 0.0f, 0.0f, 0.0f, 0.0f};
    if (candidate.score < detection.min_score) {
        candidate.score = NO_CANDIDATE;
        return candidate;
    }
    const float* raw = grid.box + 4 * cell.index;
    const float stride = static_cast<float>(grid.stride);
    candidate.width = expf(raw[2]) * stride;
    candidate.height = expf(raw[3]) * stride;
    candidate.left = (static_cast<float>(cell.column) + raw[0]) * stride - candidate.width / 2;
    candidate.top = (static_cast<float>(cell.row) + raw[1]) * stride - candidate.height / 2;
    // A log size of minus infinity is a size of zero: it has to be looked at by itself.
    bool is_good = is_finite(candidate.score) && is_finite(raw[2]) && is_finite(raw[3]) &&
                   is_finite(candidate.width) && is_finite(candidate.height) &&
                   is_finite(candidate.left) && is_finite(candidate.top);
    for (int landmark = 0; landmark < 2 * LANDMARKS; ++landmark) {
        is_good = is_good && is_finite(landmark_at(grid, cell, landmark));
    }
    if (!is_good) {
        is_not_finite[cell.grid] = 1;  // several threads may write the same
        candidate.score = NO_CANDIDATE;
    }
    return candidate;
}

__host__ __device__ inline float overlap(float a, float a_size, float b, float b_size) {
    const float a_end = a + a_size, b_end = b + b_size;
    const float length = (a_end < b_end ? a_end : b_end) - (a > b ? a : b);
    return length > 0.0f ? length : 0.0f;
}

// Whether a lower face has to give way. Said as a negation, so that what is not a number gives way, too.
__host__ __device__ inline bool gives_way(const Candidate& lower, const Candidate& better,
                                          float max_iou) {
    const float shared = overlap(better.left, better.width, lower.left, lower.width) *
                         overlap(better.top, better.height, lower.top, lower.height);
    const float both = better.width * better.height + lower.width * lower.height - shared;
    return !(shared <= max_iou * both);
}

// The face that is found in a cell, in frame pixels.
__host__ __device__ inline FoundFace face_at(const Detection& detection, int number, float score) {
    const Candidate& box = detection.candidates[number];
    const Cell cell = cell_at(detection, number);
    const float scale[2] = {detection.scale_x, detection.scale_y};
    FoundFace face = {score,           box.left / scale[0],   box.top / scale[1],
                      box.width / scale[0], box.height / scale[1], {}};
    for (int number_of = 0; number_of < 2 * LANDMARKS; ++number_of) {
        const Grid& grid = detection.grids[cell.grid];
        face.landmarks[number_of] = landmark_at(grid, cell, number_of) / scale[number_of % 2];
    }
    return face;
}

// The best that some threads have seen. Equal scores: the lower cell, whatever the number of threads.
struct Best {
    float score;
    int number;  // of the cell; -1: none
};

__host__ __device__ inline bool is_better(const Best& one, const Best& other) {
    if (one.number < 0 || other.number < 0) return one.number >= 0;
    return one.score > other.score || (one.score == other.score && one.number < other.number);
}
