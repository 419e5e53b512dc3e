// Compares the kernels with simple loops on random, extreme and degenerate input. Every array is a heap block of its
// exact size, so that AddressSanitizer detects accesses beyond it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "echoseg/decode.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/parallel.hpp"
#include "echoseg/simd.hpp"
#include "echoseg/targets.hpp"
#include "random_input.hpp"

namespace {

// The even-odd rule at pixel centres by cross products, which are exact for the coordinates of random_batch.
bool inside(const Batch& batch, int64_t contour, int64_t x, int64_t y) {
    bool in = false;
    const int64_t begin = batch.offsets[contour], end = batch.offsets[contour + 1];
    for (int64_t i = begin; i < end; ++i) {
        const float* a = &batch.points[2 * (i == begin ? end - 1 : i - 1)];
        const float* b = &batch.points[2 * i];
        if (a[1] > b[1]) std::swap(a, b);
        const double x0 = a[0], y0 = a[1], x1 = b[0], y1 = b[1];
        if (y0 <= y && y < y1 && (x - x0) * (y1 - y0) >= (y - y0) * (x1 - x0)) in = !in;
    }
    return in;
}

void try_fill(ImageSize size, const Batch& batch) {
    const int64_t count = batch.contours().count;
    std::vector<uint8_t> masks(static_cast<size_t>(count * size.pixels()), 9);
    fill_polygons(batch.contours(), size, FillRule::center, masks.data(), 0);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t y = 0; y < size.height; ++y)
            for (int64_t x = 0; x < size.width; ++x)
                check(masks[(i * size.height + y) * size.width + x] == inside(batch, i, x, y), "fill, center");
    fill_polygons(batch.contours(), size, FillRule::opencv, masks.data(), 0);
    for (const uint8_t value : masks) check(value <= 1, "fill, opencv");  // the Python tests compare with OpenCV
    std::vector<float> areas(masks.size(), NAN);
    cover_polygons(batch.contours(), size, areas.data(), 0);
    for (const float value : areas)
        check(value >= 0.0f && value <= 1.0f, "coverage");  // the Python tests compare the values
}

void try_band(ImageSize size) {
    const int64_t count = integer(0, 3);
    std::vector<uint8_t> masks(static_cast<size_t>(count * size.pixels())), band(masks.size(), 9);
    const double share = real(0, 1);
    for (uint8_t& value : masks) value = real(0, 1) < share ? 255 : 0;
    StructuringElement element{integer(1, 12), static_cast<ElementShape>(integer(0, 2)), integer(1, 3)};
    if (integer(0, 9) == 0) element = {integer(1, 32768), ElementShape::rect, integer(1, 2147483647)};
    border_band(masks.data(), count, size, element, band.data(), 0);
    if (element.shape != ElementShape::rect) return;  // the Python tests compare other shapes with OpenCV
    const int64_t up = int64_t{element.size / 2} * element.iterations;
    const int64_t down = int64_t{element.size - 1 - element.size / 2} * element.iterations;
    for (int64_t i = 0; i < count; ++i)
        for (int64_t y = 0; y < size.height; ++y)
            for (int64_t x = 0; x < size.width; ++x) {
                bool any = false, all = true;
                for (int64_t v = std::max<int64_t>(0, y - up); v <= std::min(size.height - 1, y + down); ++v)
                    for (int64_t u = std::max<int64_t>(0, x - up); u <= std::min(size.width - 1, x + down); ++u) {
                        const bool set = masks[(i * size.height + v) * size.width + u] != 0;
                        any |= set;
                        all &= set;
                    }
                check(band[(i * size.height + y) * size.width + x] == (any != all), "band");
            }
}

void try_targets(ImageSize size, const Batch& batch) {
    const int64_t count = batch.contours().count, per_image = integer(0, 3);
    std::vector<float> landmarks;
    for (int64_t i = 0; i < count * per_image; ++i)
        for (const int64_t side : {size.width, size.height})
            landmarks.push_back(static_cast<float>(real(-20, static_cast<double>(side) + 20)));
    landmarks.shrink_to_fit();
    const auto gaussian = integer(0, 1) == 0;
    const TargetOptions options{
        static_cast<FillRule>(integer(0, 1)),
        {integer(1, 9), static_cast<ElementShape>(integer(0, 2)), integer(1, 3)},
        {gaussian ? HeatmapKind::gaussian : HeatmapKind::euclidean, static_cast<float>(real(0.1, 9)),
         gaussian && integer(0, 1) ? std::numeric_limits<float>::infinity() : static_cast<float>(real(0.1, 30)),
         HeatmapType::float32}};
    std::vector<uint8_t> masks(static_cast<size_t>(count * size.pixels()), 9), band(masks.size(), 9),
        alone(masks.size(), 9);
    std::vector<float> maps(static_cast<size_t>(count * per_image * size.pixels()), NAN), single(maps.size(), NAN);
    render_targets(batch.contours(), {landmarks.data(), nullptr, count, per_image}, size, options, masks.data(),
                   band.data(), maps.data(), 0);
    border_band(masks.data(), count, size, options.element, alone.data(), 0);
    check(band == alone, "targets, band");
    std::fill(alone.begin(), alone.end(), uint8_t{9});
    border_band_from_contours(batch.contours(), size, options.rule, options.element, alone.data(), 0);
    check(band == alone, "band of contours");
    render_heatmaps({landmarks.data(), nullptr, count, per_image}, size, options.heatmap, band.data(), single.data(),
                    0);
    check(maps.empty() || std::memcmp(maps.data(), single.data(), maps.size() * sizeof(float)) == 0,
          "targets, heatmaps");

    // Another type, drawn into new memory, and into memory that holds the heatmaps of other landmarks.
    HeatmapOptions other = options.heatmap;
    other.type = static_cast<HeatmapType>(integer(0, 3));
    std::vector<float> moved(landmarks);
    for (float& coordinate : moved) coordinate += static_cast<float>(real(-20, 20));
    std::vector<uint8_t> fresh(maps.size() * static_cast<size_t>(bytes_of(other.type)), 9), over(fresh.size(), 9);
    const uint8_t* cut = integer(0, 1) ? band.data() : nullptr;
    render_heatmaps({moved.data(), nullptr, count, per_image}, size, other, nullptr, over.data(), 0);
    render_heatmaps({landmarks.data(), moved.data(), count, per_image}, size, other, cut, over.data(), 0);
    render_heatmaps({landmarks.data(), nullptr, count, per_image}, size, other, cut, fresh.data(), 0);
    check(over == fresh, "heatmaps, over previous ones");

    const HeatmapOptions& h = options.heatmap;
    for (int64_t p = 0; p < count * per_image; ++p)
        for (int64_t i = 0; i < size.pixels(); ++i) {
            const double dx = static_cast<double>(i % size.width) - landmarks[2 * p];
            const double dy = static_cast<double>(i / size.width) - landmarks[2 * p + 1];
            const double d = std::hypot(dx, dy);
            if (std::fabs(d - h.radius) < 1e-4) continue;
            double expected = gaussian ? std::exp(-d * d / (2.0 * h.sigma * h.sigma)) : std::max(0.0, 1 - d / h.radius);
            if (d > h.radius || !band[(p / per_image) * size.pixels() + i]) expected = 0;
            check(std::fabs(maps[p * size.pixels() + i] - expected) < 1e-6, "targets, values");
        }

    std::vector<float> points(static_cast<size_t>(2 * count * per_image)),
        confidence(static_cast<size_t>(count * per_image));
    decode_heatmaps(maps.data(), count * per_image, size, DecodeMethod::argmax, 0, points.data(), confidence.data(), 0);
    for (int64_t p = 0; p < count * per_image; ++p) {
        const float* plane = &maps[p * size.pixels()];
        const int64_t best = std::max_element(plane, plane + size.pixels()) - plane;
        check(points[2 * p] == static_cast<float>(best % size.width), "decode, x");
        check(points[2 * p + 1] == static_cast<float>(best / size.width), "decode, y");
        check(confidence[p] == plane[best], "decode, confidence");
    }
}

// Planes that exceed the caches are written by streaming stores.
void try_large_planes() {
    const ImageSize size{1, 8388609};
    const float ends[] = {5, 0, 8388600, 1};
    for (const HeatmapType type : {HeatmapType::float32, HeatmapType::float16, HeatmapType::uint8})
        for (const bool banded : {false, true}) {
            const HeatmapOptions options{HeatmapKind::gaussian, 4, 8, type};
            const size_t plane = static_cast<size_t>(size.pixels() * bytes_of(type));
            const int64_t per_image = type == HeatmapType::uint8 ? 4 : 2;
            std::vector<float> points;
            for (int64_t k = 0; k < per_image; ++k) points.insert(points.end(), ends + k % 2 * 2, ends + k % 2 * 2 + 2);
            const std::vector<uint8_t> band(static_cast<size_t>(size.pixels()), 1);
            std::vector<uint8_t> maps(static_cast<size_t>(per_image) * plane, 9), single(plane, 9);
            render_heatmaps({points.data(), nullptr, 1, per_image}, size, options, banded ? band.data() : nullptr,
                            maps.data(), 1);
            for (int64_t k = 0; k < per_image; ++k) {
                render_heatmaps({&points[static_cast<size_t>(2 * k)], nullptr, 1, 1}, size, options, nullptr,
                                single.data(), 1);
                check(std::memcmp(&maps[static_cast<size_t>(k) * plane], single.data(), plane) == 0,
                      "heatmaps, large planes");
            }
        }
}

void try_distances(ImageSize size) {
    const int64_t count = integer(0, 2), pixels = size.pixels();
    std::vector<uint8_t> masks(static_cast<size_t>(count * pixels)), others(masks.size());
    const double share = integer(0, 3) ? real(0.9, 1) : real(0, 1);
    for (uint8_t& value : masks) value = real(0, 1) < share ? 255 : 0;
    for (uint8_t& value : others) value = real(0, 1) < 0.01 ? 1 : 0;
    const bool pixel = integer(0, 1) == 0;
    const Spacing spacing = pixel ? Spacing{1, 1} : Spacing{real(0.1, 3), real(0.1, 3)};
    std::vector<float> distances(masks.size(), NAN);
    distance_transform(masks.data(), count, size, spacing, distances.data(), 0);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t probe = 0; probe < 20; ++probe) {
            const int64_t y = integer(0, static_cast<int>(size.height) - 1),
                          x = integer(0, static_cast<int>(size.width) - 1);
            double expected = std::numeric_limits<double>::infinity();
            for (int64_t p = 0; p < pixels; ++p)
                if (!masks[i * pixels + p])
                    expected = std::min(expected, std::hypot(spacing.y * static_cast<double>(p / size.width - y),
                                                             spacing.x * static_cast<double>(p % size.width - x)));
            const double got = distances[i * pixels + y * size.width + x];
            check(got == expected || std::fabs(got - expected) <= 2e-7 * expected, "distance_transform");
        }
    std::vector<double> hd95(static_cast<size_t>(count), NAN),
        assd(hd95.size(), NAN);  // the Python tests compare the values
    surface_distances(masks.data(), others.data(), count, size, spacing, hd95.data(), assd.data(), 0);
    for (int64_t i = 0; i < count; ++i) check(assd[i] >= 0 && hd95[i] >= 0, "surface_distances");
    surface_distances(masks.data(), masks.data(), count, size, spacing, hd95.data(), assd.data(), 0);
    for (int64_t i = 0; i < count; ++i) check(assd[i] == 0 && hd95[i] == 0, "surface_distances of equal masks");
    std::vector<double> nsd(hd95.size(), -1), farther(nsd);
    const double tolerance = real(0, 10);
    normalized_surface_dice(masks.data(), others.data(), count, size, spacing, tolerance, nsd.data(), 0);
    normalized_surface_dice(others.data(), masks.data(), count, size, spacing, 2 * tolerance, farther.data(), 0);
    for (int64_t i = 0; i < count; ++i)
        check(std::isnan(nsd[i]) ? std::isnan(farther[i]) : 0 <= nsd[i] && nsd[i] <= farther[i] && farther[i] <= 1,
              "normalized_surface_dice");
    normalized_surface_dice(masks.data(), masks.data(), count, size, spacing, 0, nsd.data(), 0);
    for (int64_t i = 0; i < count; ++i) check(!(nsd[i] < 1), "normalized_surface_dice of equal masks");
}

void try_threads() {
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
        callers.emplace_back([] {
            for (int round = 0; round < 50; ++round) {
                std::vector<int> seen(1000);
                parallel_for(1000, 2000, 3, [&seen](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
                });
                for (const int times : seen) check(times == 1, "parallel_for");
            }
        });
    for (std::thread& caller : callers) caller.join();
    bool caught = false;
    try {
        parallel_for(1000, 2000, 3, [](int64_t begin, int64_t) {
            if (begin > 0) throw std::runtime_error("expected");
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    check(caught, "an exception in a worker");
}

}  // namespace

int main() {
    const char* requested = std::getenv("ECHOSEG_SIMD");
    if (requested) {
        bool available = false;
        for (const std::string& level : simd::available_levels()) available |= level == requested;
        if (!available) return 77;
    }
    std::printf("level %s\n", simd::level().c_str());
    for (const float invalid : {NAN, INFINITY, -INFINITY, 3e38f, 1048577.0f}) {
        const std::vector<float> points = {0, 0, 1, 1, 2, invalid};
        check(find_invalid_point(points.data(), 3) == 2 && find_invalid_point(points.data(), 2) == -1,
              "find_invalid_point");
    }
    for (int round = 0; round < 1500; ++round) {
        const ImageSize size{integer(1, 40), integer(1, 150)};
        const Batch batch = random_batch(size, integer(0, 12));
        try_fill(size, batch);
        try_band(size);
        try_targets(size, batch);
        try_distances(size);
    }
    try_large_planes();
    render_heatmaps({nullptr, nullptr, int64_t{1} << 40, 0}, {8, 8}, {}, nullptr, nullptr, 0);  // returns immediately
    try_threads();
    std::printf("passed\n");
}
