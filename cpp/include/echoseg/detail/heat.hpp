// The value of a heatmap at a pixel. Computed in float32 without contraction, so that every instruction set gives the
// same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// exp(-t) for t >= 0, and 0 for t >= 43.5 (exp(-43.5) = 1.3e-19). With this cutoff the product of two factors is never
// denormal, and a Gaussian extends at most 9.4 sigma to either side. Relative error below 3e-7. The polynomial is the
// Taylor series of degree 7 on |r| <= ln(2) / 2, with a remainder of 5e-9; ln(2) is split into two parts so that the
// range reduction is exact.
ECHOSEG_HD inline float exp_minus(float t) {
    const float x = t < 44.0f ? -t : -44.0f;
    const float n =
        static_cast<float>(static_cast<int32_t>(x * 1.44269504f - 0.5f));  // rounds to nearest, since x <= 0
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    // 2^n, or 0 by a bit mask: a branch would prevent vectorisation.
    const int32_t bits = ((static_cast<int32_t>(n) + 127) * 8388608) & -static_cast<int32_t>(t < 43.5f);
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

// One factor of the separable Gaussian: exp(-offset^2 * scale), with scale = 1 / (2 sigma^2).
ECHOSEG_HD inline float gaussian_factor(float offset, float scale) { return exp_minus(offset * offset * scale); }

ECHOSEG_HD inline float gaussian_value(float factor_x, float factor_y, float square_x, float square_y,
                                       float radius_square) {
    return square_x + square_y <= radius_square ? factor_x * factor_y : 0.0f;
}

ECHOSEG_HD inline float euclidean_value(float square_x, float square_y, float radius) {
    const float value = 1.0f - sqrtf(square_x + square_y) / radius;
    return value > 0.0f ? value : 0.0f;
}

}  // namespace echoseg::detail
