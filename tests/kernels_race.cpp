// The one kernel whose threads wait for each other, on sixteen real threads, for a compiler that watches
// for races.
#include "kernels_on_cpu.cpp"

#include <cstdio>
#include <random>

int main() {
    std::mt19937 random(7);
    std::vector<std::vector<float>> outputs;
    const auto output = [&](int size, float least, float most) {
        std::uniform_real_distribution<float> numbers(least, most);
        outputs.emplace_back(size);
        for (float& number : outputs.back()) number = numbers(random);
        return outputs.back().data();
    };
    Detection detection = {};
    for (int stride : {8, 16, 32}) {
        const int columns = 160 / stride, rows = 128 / stride, cells = columns * rows;
        detection.grids[detection.grid_count++] = {output(cells, 0, 1.2f),   output(cells, -0.5f, 1.2f),
                                                   output(4 * cells, -1, 1), output(10 * cells, -1, 1),
                                                   columns, rows, stride};
    }
    detection.max_faces = 64;
    detection.min_score = 0.5f;
    detection.max_iou = 0.3f;
    detection.scale_x = detection.scale_y = 1.0f;
    std::vector<Candidate> candidates(cell_count(detection));
    std::vector<int> found((sizeof(FoundFaces) + 64 * sizeof(FoundFace)) / sizeof(int));
    detection.candidates = candidates.data();
    detection.found = reinterpret_cast<FoundFaces*>(found.data());
    const unsigned int grid[3] = {1, 1, 1}, block[3] = {16, 1, 1};
    for (int round = 0; round < 20; ++round) run_livegate_face_detection(grid, block, &detection);
    std::printf("%d faces\n", detection.found->count);
}
