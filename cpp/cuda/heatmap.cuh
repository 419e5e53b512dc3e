// Draws the strip of a block in all heatmaps of an image. The kernel is limited by memory writes, so the inner loop
// does little else: a thread holds the factors of some adjacent columns in registers while it steps down the rows, the
// factors of the rows are in a table in shared memory, and a store writes 16 bytes if the width allows it.
#pragma once

#include "echoseg/detail/heat.hpp"
#include "echoseg/detail/narrow.hpp"
#include "echoseg/heatmap.hpp"
#include "polygon.cuh"

namespace echoseg::cuda {

constexpr int32_t kTableRows = 128, kTablePlanes = 8;
constexpr int64_t kTableBytes = kTableRows * kTablePlanes * 2 * static_cast<int64_t>(sizeof(float));
static_assert(kBitBytes + kTableBytes <= kSharedBytes, "bit images and tables share the memory of the block");

struct Heatmaps {
    HeatmapOptions options;
    const float* landmarks;
    int64_t per_image;
    void* planes;
};

// Conversion of a value to the type of the heatmaps.
template <HeatmapType kType>
struct Output;

template <>
struct Output<HeatmapType::float32> {
    using Value = float;
    __device__ static Value of(float value) { return value; }
};

template <>
struct Output<HeatmapType::bfloat16> {
    using Value = uint16_t;
    __device__ static Value of(float value) { return static_cast<Value>(detail::to_bfloat16(value)); }
};

template <>
struct Output<HeatmapType::float16> {
    using Value = uint16_t;
    __device__ static Value of(float value) { return static_cast<Value>(detail::to_float16(value)); }
};

template <>
struct Output<HeatmapType::uint8> {
    using Value = uint8_t;
    __device__ static Value of(float value) { return static_cast<Value>(detail::to_uint8(value)); }
};

// Factors and squared offsets of up to kTableRows rows, for up to kTablePlanes planes.
struct RowTable {
    float *factors, *squares;  // kTableRows for each of kTablePlanes

    // In shared memory, after the bit images if those are in shared memory too.
    __device__ explicit RowTable(const Strips& s)
        : factors(reinterpret_cast<float*>(shared() + s.shared_bytes())),
          squares(factors + kTableRows * kTablePlanes) {}

    __device__ void fill(const HeatmapOptions& options, float scale, const float* landmarks, int32_t planes,
                         int32_t first_row, int32_t rows) const {
        for (int32_t i = static_cast<int32_t>(threadIdx.x); i < planes * kTableRows;
             i += static_cast<int32_t>(blockDim.x)) {
            const int32_t plane = i / kTableRows, row = i % kTableRows;
            if (row >= rows) continue;
            const float offset = static_cast<float>(first_row + row) - landmarks[2 * plane + 1];
            squares[i] = offset * offset;
            factors[i] = options.kind == HeatmapKind::gaussian ? detail::gaussian_factor(offset, scale) : 0.0f;
        }
    }
};

// Factors and squared offsets of some adjacent columns of a plane.
template <int kColumns>
struct ColumnFactors {
    float factor[kColumns], square[kColumns];

    __device__ ColumnFactors(const HeatmapOptions& options, float scale, float center, int32_t first) {
        for (int32_t i = 0; i < kColumns; ++i) {
            const float offset = static_cast<float>(first + i) - center;
            square[i] = offset * offset;
            factor[i] = options.kind == HeatmapKind::gaussian ? detail::gaussian_factor(offset, scale) : 0.0f;
        }
    }

    __device__ float value(const HeatmapOptions& options, int32_t i, float factor_y, float square_y) const {
        return options.kind == HeatmapKind::gaussian
                   ? detail::gaussian_value(factor[i], factor_y, square[i], square_y, options.radius * options.radius)
                   : detail::euclidean_value(square[i], square_y, options.radius);
    }
};

// Draws `rows` rows of one plane. factors, squares: the table of the first row. band: the bits of the first row, or
// null.
template <int kColumns, HeatmapType kType>
__device__ inline void draw_rows(const Heatmaps& h, float scale, const float* landmark, const float* factors,
                                 const float* squares, const uint32_t* band, int32_t pitch, int32_t rows, int32_t width,
                                 typename Output<kType>::Value* out) {
    using Value = typename Output<kType>::Value;
    struct alignas(kColumns * sizeof(Value)) Group {
        Value values[kColumns];
    };
    const bool valid = is_valid(landmark[0]) && is_valid(landmark[1]);
    const int32_t threads = static_cast<int32_t>(blockDim.x), thread = static_cast<int32_t>(threadIdx.x);
    const int32_t groups = width / kColumns, lanes = groups < threads ? groups : threads,
                  rows_at_once = threads / lanes;
    if (thread >= lanes * rows_at_once) return;
    for (int32_t group = thread % lanes; group < groups; group += lanes) {
        const int32_t column = group * kColumns;
        const ColumnFactors<kColumns> columns(h.options, scale, landmark[0], column);
        for (int32_t row = thread / lanes; row < rows; row += rows_at_once) {
            const uint32_t bits = band ? band[int64_t{row} * pitch + column / 32] >> (column % 32) : ~0u;
            Group drawn;
            for (int32_t i = 0; i < kColumns; ++i) {
                const float value = columns.value(h.options, i, factors[row], squares[row]);
                drawn.values[i] = Output<kType>::of(valid && ((bits >> i) & 1u) ? value : 0.0f);
            }
            *reinterpret_cast<Group*>(out + int64_t{row} * width + column) = drawn;
        }
    }
}

// Draws the strip in all heatmaps of its image. band: the bits of the window of the strip, or null. Must be called by
// the whole block.
template <HeatmapType kType>
__device__ inline void draw_heatmaps(const Strips& s, const Strip& strip, const Heatmaps& h, const uint32_t* band) {
    using Value = typename Output<kType>::Value;
    constexpr int kGroup = 16 / static_cast<int>(sizeof(Value));
    const bool grouped = s.width % kGroup == 0 && aligned(h.planes, 16);
    const RowTable table(s);
    const float scale = 1.0f / (2.0f * h.options.sigma * h.options.sigma);
    const int64_t first_plane = strip.image * h.per_image;
    for (int32_t done = 0; done < strip.rows; done += kTableRows) {
        const int32_t rows = strip.rows - done < kTableRows ? strip.rows - done : kTableRows,
                      row = strip.first_row + done;
        const uint32_t* bits = band ? band + (int64_t{strip.above()} + done) * s.pitch : nullptr;
        for (int64_t k = 0; k < h.per_image; k += kTablePlanes) {
            const int32_t planes =
                static_cast<int32_t>(h.per_image - k < kTablePlanes ? h.per_image - k : kTablePlanes);
            const float* landmarks = h.landmarks + 2 * (first_plane + k);
            table.fill(h.options, scale, landmarks, planes, row, rows);
            __syncthreads();
            for (int32_t p = 0; p < planes; ++p) {
                Value* out = static_cast<Value*>(h.planes) + ((first_plane + k + p) * s.height + row) * s.width;
                const float *factors = table.factors + p * kTableRows, *squares = table.squares + p * kTableRows;
                if (grouped) {
                    draw_rows<kGroup, kType>(h, scale, landmarks + 2 * p, factors, squares, bits, s.pitch, rows,
                                             s.width, out);
                } else {
                    draw_rows<1, kType>(h, scale, landmarks + 2 * p, factors, squares, bits, s.pitch, rows, s.width,
                                        out);
                }
            }
            __syncthreads();
        }
    }
}

// The instantiation of a kernel template for a type.
#define ECHOSEG_FOR_TYPE(type, kernel)                                 \
    ((type) == HeatmapType::float32    ? kernel<HeatmapType::float32>  \
     : (type) == HeatmapType::bfloat16 ? kernel<HeatmapType::bfloat16> \
     : (type) == HeatmapType::float16  ? kernel<HeatmapType::float16>  \
                                       : kernel<HeatmapType::uint8>)

}  // namespace echoseg::cuda
