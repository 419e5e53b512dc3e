// Draws the strip of a block in all heatmaps of an image. The kernel is limited by memory writes, so the inner loop
// does little else: a thread holds the factors of some adjacent columns of one plane in registers while it steps down
// the rows, and the factors of the rows are in a table in shared memory. A store writes up to 16 bytes if the width
// allows it. Pixels outside the band are zeros, which need no factors.
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
        ECHOSEG_NO_UNROLL
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

    // The values of the columns in a row, 0 where a bit is 0.
    template <HeatmapType kType>
    __device__ void draw(const HeatmapOptions& options, float factor_y, float square_y, uint32_t bits,
                         typename Output<kType>::Value* drawn) const {
        const auto put = [&](int32_t i, float value) { drawn[i] = Output<kType>::of((bits >> i) & 1u ? value : 0.0f); };
        if (options.kind == HeatmapKind::gaussian) {
            const float limit = options.radius * options.radius;
            for (int32_t i = 0; i < kColumns; ++i)
                put(i, detail::gaussian_value(factor[i], factor_y, square[i], square_y, limit));
        } else {
            for (int32_t i = 0; i < kColumns; ++i) put(i, detail::euclidean_value(square[i], square_y, options.radius));
        }
    }
};

// Some planes of an image, from a row on.
template <HeatmapType kType>
struct Planes {
    typename Output<kType>::Value* first;  // the row in the first plane
    int64_t pixels;                        // of a plane
    int32_t count, rows, width;
    const float* landmarks;
    const uint32_t* band;  // the bits of the row, or null
    int32_t pitch;         // of the band
};

template <int kColumns, HeatmapType kType>
__device__ inline void draw_planes(const Heatmaps& h, float scale, const RowTable& table, const Planes<kType>& planes) {
    using Value = typename Output<kType>::Value;
    struct alignas(kColumns * sizeof(Value)) Group {
        Value values[kColumns];
    };
    const int32_t groups = planes.width / kColumns;
    for_each_column(Lanes(groups * planes.count), groups * planes.count, [&](int32_t i, int32_t row, int32_t step) {
        const int32_t plane = i / groups, column = i % groups * kColumns;
        const float *landmark = planes.landmarks + 2 * plane, *factors = table.factors + plane * kTableRows,
                    *squares = table.squares + plane * kTableRows;
        const uint32_t all = is_valid(landmark) ? (1u << kColumns) - 1u : 0u;
        const ColumnFactors<kColumns> columns(h.options, scale, landmark[0], column);
        const uint32_t* words = planes.band ? planes.band + int64_t{row} * planes.pitch + column / 32 : nullptr;
        Value* out = planes.first + plane * planes.pixels + int64_t{row} * planes.width + column;
        const int64_t words_step = int64_t{step} * planes.pitch, out_step = int64_t{step} * planes.width;
        ECHOSEG_NO_UNROLL
        for (; row < planes.rows; row += step) {
            const uint32_t bits = words ? all & *words >> (column % 32) : all;
            Group drawn{};
            if (bits) columns.template draw<kType>(h.options, factors[row], squares[row], bits, drawn.values);
            *reinterpret_cast<Group*>(out) = drawn;
            out += out_step;
            if (words) words += words_step;
        }
    });
}

// Draws the strip in all heatmaps of its image. band: the bits of the window of the strip, or null. Must be called by
// the whole block.
template <HeatmapType kType>
__device__ inline void draw_heatmaps(const Strips& s, const Strip& strip, const Heatmaps& h, const uint32_t* band) {
    using Value = typename Output<kType>::Value;
    constexpr int kGroup = sizeof(Value) == 4 ? 4 : 8;  // more columns would need too many registers
    const bool grouped = s.width % kGroup == 0 && is_aligned(h.planes, 16);
    const RowTable table(s);
    const float scale = 1.0f / (2.0f * h.options.sigma * h.options.sigma);
    for (int32_t done = 0; done < strip.rows; done += kTableRows) {
        const int32_t rows = strip.rows - done < kTableRows ? strip.rows - done : kTableRows,
                      row = strip.first_row + done;
        for (int64_t k = 0; k < h.per_image; k += kTablePlanes) {
            const int64_t plane = strip.image * h.per_image + k;
            const Planes<kType> planes{
                static_cast<Value*>(h.planes) + (plane * s.height + row) * s.width,
                int64_t{s.height} * s.width,
                static_cast<int32_t>(h.per_image - k < kTablePlanes ? h.per_image - k : kTablePlanes),
                rows,
                s.width,
                h.landmarks + 2 * plane,
                band ? band + (int64_t{strip.above()} + done) * s.pitch : nullptr,
                s.pitch};
            table.fill(h.options, scale, planes.landmarks, planes.count, row, rows);
            __syncthreads();
            if (grouped) {
                draw_planes<kGroup>(h, scale, table, planes);
            } else {
                draw_planes<1>(h, scale, table, planes);
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
