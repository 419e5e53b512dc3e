// Level "baseline".
#include <cmath>
#include <cstdint>
#include <cstring>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/distance.hpp"
#include "echoseg/detail/heat.hpp"
#include "echoseg/detail/narrow.hpp"
#include "row_kernels.hpp"

namespace echoseg::baseline {
namespace {

// clang-format off: the order matters
#include "word_bytes.inl"
#include "row_kernels.inl"
#include "crossings.inl"
#include "distance.inl"
// clang-format on

}  // namespace
}  // namespace echoseg::baseline

namespace echoseg::simd {

const RowKernels kRowKernelsBaseline = {
    "baseline",
    baseline::cross_rows,
    baseline::carry_fill,
    baseline::expand_fill,
    baseline::mask_rows,
    baseline::expand,
    baseline::pack,
    baseline::or_ahead,
    baseline::copy_shifted,
    baseline::gaussian_table,
    baseline::square_table,
    baseline::gaussian_window,
    baseline::disc_window,
    baseline::euclidean_window,
    baseline::to_bfloat16,
    baseline::to_float16,
    baseline::to_uint8,
    baseline::clear_rows,
    baseline::argmax,
    baseline::stream_zeros,
    baseline::stream_copy,
    baseline::stream_end,
    baseline::column_distances,
    baseline::row_distances,
    baseline::distances_at,
};

}  // namespace echoseg::simd
