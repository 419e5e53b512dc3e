// Random contours for the drivers, including extreme and degenerate ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "echoseg/types.hpp"

using namespace echoseg;

inline std::mt19937 generator(1);

inline int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }
inline double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(generator); }

inline void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    std::exit(1);
}

struct Batch {
    std::vector<float> points;
    std::vector<int64_t> offsets{0};

    Contours contours() const {
        return {points.data(), offsets.data(), static_cast<int64_t>(offsets.size()) - 1,
                static_cast<int64_t>(points.size()) / 2};
    }
};

inline Batch random_batch(ImageSize size, int count) {
    Batch batch;
    for (int i = 0; i < count; ++i) {
        const int points = integer(0, 14), kind = integer(0, 4);
        for (int p = 0; p < points; ++p)
            for (const int64_t side : {size.width, size.height}) {
                const double s = static_cast<double>(side);
                double coordinate = real(0, s);
                if (kind == 1) coordinate = real(-2 * s, 3 * s);
                if (kind == 2) coordinate = real(-kCoordinateLimit, kCoordinateLimit);
                if (kind == 3) coordinate = std::round(coordinate);
                if (kind == 4) coordinate = integer(-2, 3) * s / 2;
                const double limit = kCoordinateLimit;
                batch.points.push_back(static_cast<float>(std::min(std::max(coordinate, -limit), limit)));
            }
        batch.offsets.push_back(static_cast<int64_t>(batch.points.size() / 2));
    }
    batch.points.shrink_to_fit();
    batch.offsets.shrink_to_fit();
    return batch;
}
