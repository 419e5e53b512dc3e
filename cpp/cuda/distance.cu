// The exact Euclidean distance transform. One kernel reads the masks and writes their column words to the workspace. In
// the other a block draws some rows of an image: it finds the squared distance of each pixel to the sites of its column,
// and then each pixel searches outwards along its row. The number of steps is about the distance, which is similar for
// adjacent pixels.
#include "distance.cuh"

namespace echoseg::cuda {
namespace {

constexpr int64_t kStripBytes = 16 * 1024;  // limit of a block's squares, unless that is less than a row
constexpr int64_t kRowBlocks = 2048;        // maximum if a row does not fit shared memory

struct DistanceArguments {
    const uint8_t* masks;
    float* out;
    int64_t count;
    int32_t height, width, groups;
    Metric metric;
    uint32_t* words;  // workspace: the column words of all images
    double* squares;  // workspace: a row of squares for each block if it does not fit shared memory
    int32_t rows;     // of a block: 1, 2, 4, 8 or 16, so that they are in the same column words
};

template <int kPixels>
__global__ void __launch_bounds__(kThreads) column_kernel(DistanceArguments a) {
    const int64_t columns = a.width / kPixels, threads = int64_t{gridDim.x} * blockDim.x;
    for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.count * a.groups * columns; i += threads) {
        const int64_t row = i / columns, image = row / a.groups;  // row: of the column words of all images
        const int32_t group = static_cast<int32_t>(row % a.groups), x = static_cast<int32_t>(i % columns) * kPixels;
        uint32_t words[kPixels];
        read_columns<kPixels>(a.masks + image * a.height * a.width, a.height, a.width, group, x, words);
        const int32_t left = a.height - 32 * group;
        const uint32_t inside = left < 32 ? (1u << left) - 1u : ~0u;
        for (int32_t c = 0; c < kPixels; ++c) a.words[row * a.width + x + c] = ~words[c] & inside;
    }
}

// The minimum of squares[c] + (x - c)^2 over a row. Searches outwards from x and stops when (x - c)^2 alone is not
// smaller. Beyond an end of the row, the pixel at the end is repeated, farther away than it is.
template <typename Square>
__device__ inline Square least_square(const Square* squares, int32_t x, int32_t width) {
    Square least = squares[x];
    const int32_t last = width - 1, end = x < last - x ? last - x : x;
    for (int32_t d = 1; d <= end; ++d) {
        const Square away = static_cast<Square>(d) * static_cast<Square>(d);
        if (away >= least) break;
        const Square before = squares[x > d ? x - d : 0], after = squares[x + d < last ? x + d : last];
        const Square here = (before < after ? before : after) + away;
        least = here < least ? here : least;
    }
    return least;
}

template <typename Square, bool kInShared>
__global__ void __launch_bounds__(kThreads) distance_kernel(DistanceArguments a) {
    Square* squares = kInShared ? reinterpret_cast<Square*>(shared())
                                : reinterpret_cast<Square*>(a.squares + int64_t{blockIdx.x} * a.width);
    const int64_t strips = (a.height + a.rows - 1) / a.rows;
    for (int64_t i = blockIdx.x; i < a.count * strips; i += gridDim.x) {
        const int64_t image = i / strips;
        const int32_t first = static_cast<int32_t>(i % strips) * a.rows,
                      rows = a.height - first < a.rows ? a.height - first : a.rows;
        const Columns columns{a.words + image * a.groups * a.width, a.groups, a.width};
        for_each_column(Lanes(a.width), a.width, [&](int32_t x, int32_t row, int32_t step) {
            const NearSites sites(columns, first / 32, x);
            ECHOSEG_NO_UNROLL
            for (; row < rows; row += step)
                squares[row * a.width + x] = site_square<Square>(sites.rows_to_site(first % 32 + row), a.metric);
        });
        __syncthreads();
        float* out = a.out + (image * a.height + first) * a.width;
        for_each_cell(rows, a.width, [&](int32_t row, int32_t x) {
            const int32_t start = row * a.width;
            const bool is_site = squares[start + x] == 0;
            out[start + x] =
                is_site ? 0.0f : static_cast<float>(distance_of(least_square(squares + start, x, a.width), a.metric));
        });
        __syncthreads();
    }
}

template <typename Square>
void transform(DistanceArguments a, const Launch& launch) {
    const int64_t row_bytes = a.width * static_cast<int64_t>(sizeof(Square));
    for (a.rows = 16; a.rows > 1 && a.rows * row_bytes > kStripBytes;) a.rows /= 2;
    const int64_t strips = a.count * ((a.height + a.rows - 1) / a.rows);
    if (row_bytes <= kSharedBytes) {
        start(launch, "distance_transform", distance_kernel<Square, true>, strips, a.rows * row_bytes, a);
    } else {
        start(launch, "distance_transform", distance_kernel<Square, false>, std::min(strips, kRowBlocks), 0, a);
    }
}

int64_t word_bytes(int64_t count, ImageSize size) {
    const int64_t bytes = count * column_words(size) * static_cast<int64_t>(sizeof(uint32_t));
    return (bytes + 15) / 16 * 16;
}

int64_t square_bytes(int64_t count, ImageSize size) {
    const int64_t row_bytes = size.width * static_cast<int64_t>(sizeof(double));
    return row_bytes <= kSharedBytes ? 0 : std::min(count * size.height, kRowBlocks) * row_bytes;
}

}  // namespace

int64_t distance_workspace_bytes(int64_t count, ImageSize size) {
    return word_bytes(count, size) + square_bytes(count, size);
}

void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out,
                        const Launch& launch) {
    auto* workspace = static_cast<unsigned char*>(launch.workspace);
    const int32_t height = static_cast<int32_t>(size.height), width = static_cast<int32_t>(size.width);
    const DistanceArguments arguments{masks,
                                      out,
                                      count,
                                      height,
                                      width,
                                      (height + 31) / 32,
                                      metric_of(spacing),
                                      reinterpret_cast<uint32_t*>(workspace),
                                      reinterpret_cast<double*>(workspace + word_bytes(count, size)),
                                      1};
    const bool four = width % 4 == 0 && is_aligned(masks, 4);
    const int64_t cells = count * column_words(size) / (four ? 4 : 1);
    start(launch, "distance_transform", four ? column_kernel<4> : column_kernel<1>, (cells + kThreads - 1) / kThreads,
          0, arguments);
    if (detail::has_whole_squares(size, spacing)) {
        transform<int32_t>(arguments, launch);
    } else {
        transform<double>(arguments, launch);
    }
}

}  // namespace echoseg::cuda
