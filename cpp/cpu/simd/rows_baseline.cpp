// The level "baseline".
#include <cmath>
#include <cstdint>
#include <cstring>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/heat.hpp"
#include "rows.hpp"

namespace echoseg::baseline {
namespace {

#include "word_bytes.inl"
#include "rows.inl"

}  // namespace
}  // namespace echoseg::baseline

namespace echoseg::simd {

const Rows kRowsBaseline = {
    "baseline",
    baseline::cross_rows,
    baseline::parity_fill,
    baseline::mask_rows,
    baseline::expand,
    baseline::pack,
    baseline::or_ahead,
    baseline::copy_shifted,
    baseline::gaussian_table,
    baseline::square_table,
    baseline::gaussian_window,
    baseline::euclidean_window,
    baseline::argmax,
    baseline::stream_zeros,
};

}  // namespace echoseg::simd
