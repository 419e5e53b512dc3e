// A fuzz target. Bytes are decoded to one call of one kernel: sizes, options, offsets and values, many of them extreme.
// Every array is a heap block of its exact size, and the result is compared with reference.hpp. libFuzzer searches for
// bytes that reach new code; without libFuzzer, fuzz_random.cpp generates random bytes.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "echoseg/decode.hpp"
#include "echoseg/detail/narrow.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/targets.hpp"
#include "reference.hpp"

namespace {

using namespace echoseg;
using reference::Mask;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kTiny = std::numeric_limits<float>::denorm_min(), kHuge = 3e38f;

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    std::abort();
}

template <typename Value>
bool same(const std::vector<Value>& a, const std::vector<Value>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0);
}

class Bytes {
   public:
    Bytes(const uint8_t* next, size_t left) : next_(next), left_(left) {}

    // The next byte, or 0 after the last.
    int byte() {
        if (left_ == 0) return 0;
        --left_;
        return *next_++;
    }
    int integer(int low, int high) { return low + byte() % (high - low + 1); }

    ImageSize size() {
        static const int widths[] = {1, 63, 64, 65, 127, 128, 129, 192};
        const int kind = byte();
        if (kind < 216) return {1 + kind % 12, integer(1, 20)};
        return {1 + kind % 2, widths[kind / 2 % 8]};
    }

    float coordinate(int64_t side) {
        const float s = static_cast<float>(side), limit = kCoordinateLimit;
        const float extreme[] = {-0.0f,
                                 kTiny,
                                 -kTiny,
                                 0.49999997f,
                                 0.5f,
                                 -0.5f,
                                 -0.50000006f,
                                 1.0f / 3,
                                 1e-30f,
                                 s - 1,
                                 s,
                                 s - 0.5f,
                                 std::nextafter(s, 0.0f),
                                 std::nextafter(s, limit),
                                 1e5f,
                                 32767.5f,
                                 65536,
                                 limit,
                                 -limit,
                                 std::nextafter(limit, 0.0f),
                                 0.03125f,
                                 8388607.5f / 16};
        const float invalid[] = {NAN,        kInfinity, -kInfinity, kHuge, limit + 1, std::nextafter(limit, kInfinity),
                                 -limit - 1, 1e30f};
        const int kind = byte();
        if (kind < 140) return 0.5f * static_cast<float>(kind - 32);
        if (kind < 200) return extreme[static_cast<size_t>(kind - 140) % (sizeof extreme / sizeof *extreme)];
        if (kind < 254) return (static_cast<float>(256 * kind + byte()) - 54000.0f) / 100.0f;
        return invalid[byte() % 8];
    }

    float value() {
        static const float extreme[] = {0,     -0.0f,  kTiny,     -kTiny,     1e-30f, 1,      -1,        0.5f,
                                        kHuge, -kHuge, kInfinity, -kInfinity, NAN,    1e-38f, 0.999999f, 2};
        const int kind = byte();
        return kind < 24 ? extreme[kind % 16] : static_cast<float>(kind - 24) / 100.0f;
    }

    Mask masks(int64_t count, ImageSize size) {
        Mask masks(static_cast<size_t>(count * size.pixels()));
        for (size_t i = 0; i < masks.size();) {
            const int run = byte();
            const size_t end = std::min(masks.size(), i + 1 + static_cast<size_t>(run) / 4);
            std::fill(masks.begin() + static_cast<int64_t>(i), masks.begin() + static_cast<int64_t>(end),
                      static_cast<uint8_t>(run % 4 == 3   ? 255
                                           : run % 4 == 2 ? 1
                                                          : 0));
            i = end;
        }
        return masks;
    }

    StructuringElement element() {
        const int size = integer(1, 7);
        return {size, static_cast<ElementShape>(integer(0, 2)), size > 4 ? 1 : integer(1, 3)};
    }

    HeatmapOptions heatmap() {
        static const float lengths[] = {1e-3f, 0.1f, 0.5f, 1, 1.5f, 4, 5, 9.4f, 100, 1048576};
        const auto kind = static_cast<HeatmapKind>(integer(0, 1));
        const float sigma = lengths[byte() % 10], radius = lengths[byte() % 10];
        const bool free = kind == HeatmapKind::gaussian && integer(0, 1);
        return {kind, sigma, free ? kInfinity : radius, static_cast<HeatmapType>(integer(0, 3))};
    }

    Spacing spacing() {
        static const double steps[] = {1, 0.3, 2.5, 1e-9, 1e9};
        const int kind = byte();
        return kind % 2 ? Spacing{steps[kind / 2 % 5], steps[kind / 10 % 5]}
                        : Spacing{steps[kind / 2 % 5], steps[kind / 2 % 5]};
    }

    // Often exactly the distance of two corners.
    double tolerance(Spacing spacing) {
        const int kind = byte(), rows = integer(0, 12), columns = integer(0, 20);
        const double down = rows * spacing.y, right = columns * spacing.x;
        const double exact = std::sqrt(down * down + right * right);
        return kind < 128 ? exact : kind < 254 ? exact * kind / 200 : 1e300;
    }

   private:
    const uint8_t* next_;
    size_t left_;
};

// Reads so many points. Returns false if one of them is invalid.
bool read_points(Bytes& bytes, int64_t pairs, ImageSize size, std::vector<float>& points) {
    points.resize(static_cast<size_t>(2 * pairs));
    int64_t invalid = -1;
    for (int64_t i = 0; i < 2 * pairs; ++i) {
        points[i] = bytes.coordinate(i % 2 ? size.height : size.width);
        if (invalid < 0 && !(std::fabs(points[i]) <= kCoordinateLimit)) invalid = i / 2;
    }
    check(find_invalid_point(points.data(), pairs) == invalid, "find_invalid_point");
    return invalid < 0;
}

struct ContourBatch {
    int64_t points_per_contour;  // -1 for ragged contours
    std::vector<float> points;
    std::vector<int64_t> offsets;

    int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
    reference::Contour contour(int64_t i) const {
        return {points.begin() + 2 * offsets[i], points.begin() + 2 * offsets[i + 1]};
    }
    Contours contours() const {
        return {points.data(), points_per_contour < 0 ? offsets.data() : nullptr, count(),
                points_per_contour < 0 ? static_cast<int64_t>(points.size()) / 2 : points_per_contour};
    }
};

bool read_contours(Bytes& bytes, ImageSize size, ContourBatch& drawn) {
    const int count = bytes.integer(0, 3);
    drawn.points_per_contour = bytes.integer(-1, 7);
    drawn.offsets = {0};
    for (int i = 0; i < count; ++i) {
        const int64_t points = drawn.points_per_contour < 0 ? bytes.integer(0, 8) : drawn.points_per_contour;
        drawn.offsets.push_back(drawn.offsets.back() + points);
    }
    drawn.offsets.shrink_to_fit();
    return read_points(bytes, drawn.offsets.back(), size, drawn.points);
}

Mask expected_fill(const ContourBatch& drawn, ImageSize size, FillRule rule) {
    Mask masks;
    for (int64_t i = 0; i < drawn.count(); ++i) {
        const Mask one =
            (rule == FillRule::center ? reference::fill_center : reference::fill_opencv)(drawn.contour(i), size);
        masks.insert(masks.end(), one.begin(), one.end());
    }
    return masks;
}

Mask expected_band(const Mask& masks, ImageSize size, const StructuringElement& element) {
    Mask band;
    for (size_t i = 0; i < masks.size(); i += static_cast<size_t>(size.pixels())) {
        const Mask one(masks.begin() + static_cast<int64_t>(i),
                       masks.begin() + static_cast<int64_t>(i) + size.pixels());
        const Mask wide = reference::morph(one, size, element, true),
                   narrow = reference::morph(one, size, element, false);
        for (size_t p = 0; p < wide.size(); ++p) band.push_back((wide[p] != 0) != (narrow[p] != 0));
    }
    return band;
}

void fuzz_fill(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    const auto rule = static_cast<FillRule>(bytes.integer(0, 1));
    ContourBatch drawn;
    if (!read_contours(bytes, size, drawn)) return;
    Mask masks(static_cast<size_t>(drawn.count() * size.pixels()), 9);
    fill_polygons(drawn.contours(), size, rule, masks.data(), threads);
    check(masks == expected_fill(drawn, size, rule), "fill_polygons");
}

void fuzz_coverage(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    ContourBatch drawn;
    if (!read_contours(bytes, size, drawn)) return;
    std::vector<float> areas(static_cast<size_t>(drawn.count() * size.pixels()), NAN);
    cover_polygons(drawn.contours(), size, areas.data(), threads);
    for (int64_t i = 0; i < drawn.count(); ++i) {
        const reference::Contour contour = drawn.contour(i);
        float left = kInfinity, right = -kInfinity, top = kInfinity, bottom = -kInfinity;
        for (size_t p = 0; p < contour.size(); p += 2) {
            left = std::min(left, contour[p]);
            right = std::max(right, contour[p]);
            top = std::min(top, contour[p + 1]);
            bottom = std::max(bottom, contour[p + 1]);
        }
        for (int64_t p = 0; p < size.pixels(); ++p) {
            const float area = areas[i * size.pixels() + p];
            const auto x = static_cast<float>(p % size.width), y = static_cast<float>(p / size.width);
            const bool beyond = x + 0.5f < left || x - 0.5f > right || y + 0.5f < top || y - 0.5f > bottom;
            check(area >= 0 && area <= (beyond || contour.size() < 6 ? 0.0f : 1.0f), "cover_polygons");
        }
    }
}

void fuzz_morph(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    StructuringElement element = bytes.element();
    const Mask masks = bytes.masks(bytes.integer(0, 2), size);
    const int64_t count = static_cast<int64_t>(masks.size()) / size.pixels();
    Mask wide(masks.size(), 9), narrow(masks.size(), 9), band(masks.size(), 9);
    if (bytes.integer(0, 15) == 15) {  // much larger than the image
        element = {1 + 128 * bytes.byte(), element.shape,
                   element.shape == ElementShape::rect ? 2147483647 : 1 << bytes.integer(0, 30)};
        dilate(masks.data(), count, size, element, wide.data(), threads);
        erode(masks.data(), count, size, element, narrow.data(), threads);
        border_band(masks.data(), count, size, element, band.data(), threads);
        for (size_t p = 0; p < masks.size(); ++p)
            check(wide[p] >= narrow[p] && band[p] == (wide[p] ^ narrow[p]), "large elements");
        return;
    }
    dilate(masks.data(), count, size, element, wide.data(), threads);
    erode(masks.data(), count, size, element, narrow.data(), threads);
    border_band(masks.data(), count, size, element, band.data(), threads);
    check(band == expected_band(masks, size, element), "border_band");
    for (size_t p = 0; p < masks.size(); ++p)
        check(wide[p] >= (masks[p] != 0) && narrow[p] <= (masks[p] != 0) && band[p] == (wide[p] ^ narrow[p]),
              "dilate and erode");
}

std::vector<uint8_t> narrowed(const std::vector<float>& values, HeatmapType type) {
    std::vector<uint8_t> out(values.size() * static_cast<size_t>(bytes_of(type)));
    for (size_t i = 0; i < values.size(); ++i) {
        const int32_t bits = type == HeatmapType::float32    ? detail::bits_of(values[i])
                             : type == HeatmapType::bfloat16 ? detail::to_bfloat16(values[i])
                             : type == HeatmapType::float16  ? detail::to_float16(values[i])
                                                             : detail::to_uint8(values[i]);
        const auto bytes = static_cast<size_t>(bytes_of(type));
        std::memcpy(&out[i * bytes], &bits, bytes);  // little-endian
    }
    return out;
}

void check_heatmaps(const std::vector<float>& maps, const std::vector<float>& landmarks, int64_t per_image,
                    ImageSize size, const HeatmapOptions& options, const uint8_t* band) {
    for (size_t p = 0; p < landmarks.size() / 2; ++p)
        for (int64_t i = 0; i < size.pixels(); ++i) {
            const double value = maps[p * static_cast<size_t>(size.pixels()) + i];
            check(value >= 0 && value <= 1, "heatmap in [0, 1]");
            const double dx = static_cast<double>(i % size.width) - landmarks[2 * p];
            const double dy = static_cast<double>(i / size.width) - landmarks[2 * p + 1];
            const double d = std::hypot(dx, dy), radius = options.radius, sigma = options.sigma;
            if (std::fabs(d - radius) < 1e-6 * (d + radius)) continue;
            double expected = options.kind == HeatmapKind::gaussian ? std::exp(-d * d / (2 * sigma * sigma))
                                                                    : std::max(0.0, 1 - d / radius);
            if (d > radius || (band && !band[static_cast<int64_t>(p) / per_image * size.pixels() + i])) expected = 0;
            check(std::fabs(value - expected) < 2e-6, "heatmap");
        }
}

void fuzz_heatmaps(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    HeatmapOptions options = bytes.heatmap();
    const HeatmapType type = options.type;
    const int64_t count = bytes.integer(0, 2), per_image = bytes.integer(0, 3);
    std::vector<float> landmarks, previous;
    if (!read_points(bytes, count * per_image, size, landmarks) ||
        !read_points(bytes, count * per_image, size, previous))
        return;
    const bool banded = bytes.integer(0, 1);
    const Mask band = bytes.masks(banded ? count : 0, size);
    const uint8_t* cut = banded ? band.data() : nullptr;

    std::vector<float> maps(static_cast<size_t>(count * per_image * size.pixels()), NAN);
    options.type = HeatmapType::float32;
    render_heatmaps({landmarks.data(), nullptr, count, per_image}, size, options, cut, maps.data(), threads);
    check_heatmaps(maps, landmarks, per_image, size, options, cut);
    options.type = type;
    std::vector<uint8_t> over(maps.size() * static_cast<size_t>(bytes_of(type)), 9);
    render_heatmaps({previous.data(), nullptr, count, per_image}, size, options, nullptr, over.data(), threads);
    render_heatmaps({landmarks.data(), previous.data(), count, per_image}, size, options, cut, over.data(), threads);
    check(over == narrowed(maps, type), "heatmaps in another type, over previous ones");
}

void fuzz_targets(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    const TargetOptions options{static_cast<FillRule>(bytes.integer(0, 1)), bytes.element(), bytes.heatmap()};
    const int64_t per_image = bytes.integer(0, 2);
    ContourBatch drawn;
    std::vector<float> landmarks;
    if (!read_contours(bytes, size, drawn) || !read_points(bytes, drawn.count() * per_image, size, landmarks)) return;
    const int64_t count = drawn.count();
    Mask masks(static_cast<size_t>(count * size.pixels()), 9), band(masks), alone(masks);
    std::vector<uint8_t> maps(masks.size() * static_cast<size_t>(per_image * bytes_of(options.heatmap.type)), 9),
        single(maps);
    render_targets(drawn.contours(), {landmarks.data(), nullptr, count, per_image}, size, options, masks.data(),
                   band.data(), maps.data(), threads);
    check(masks == expected_fill(drawn, size, options.rule), "targets, mask");
    check(band == expected_band(masks, size, options.element), "targets, band");
    border_band_from_contours(drawn.contours(), size, options.rule, options.element, alone.data(), threads);
    check(band == alone, "border_band_from_contours");
    render_heatmaps({landmarks.data(), nullptr, count, per_image}, size, options.heatmap, band.data(), single.data(),
                    threads);
    check(maps == single, "targets, heatmaps");
}

void fuzz_decode(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    const auto method = static_cast<DecodeMethod>(bytes.integer(0, 2));
    static const float windows[] = {1e-3f, 0.5f, 1, 5, 12.25f, 1048576};
    const float window = windows[bytes.byte() % 6];
    const int64_t planes = bytes.integer(0, 2);
    std::vector<float> maps(static_cast<size_t>(planes * size.pixels()));
    for (float& value : maps) value = bytes.value();
    std::vector<float> points(static_cast<size_t>(2 * planes), NAN), confidence(static_cast<size_t>(planes), NAN);
    decode_heatmaps(maps.data(), planes, size, method, window, points.data(), confidence.data(), threads);
    for (int64_t i = 0; i < planes; ++i) {
        const float* plane = &maps[i * size.pixels()];
        int64_t best = 0;
        for (int64_t p = 1; p < size.pixels() && !std::isnan(plane[best]); ++p)
            if (plane[p] > plane[best] || std::isnan(plane[p])) best = p;
        check(std::memcmp(&confidence[i], &plane[best], sizeof(float)) == 0, "decode, confidence");
        const float x = points[2 * i], y = points[2 * i + 1];
        const auto top_x = static_cast<float>(best % size.width), top_y = static_cast<float>(best / size.width);
        const bool at_top = x == top_x && y == top_y;
        check(at_top || (method != DecodeMethod::argmax && std::isfinite(plane[best])), "decode, pixel");
        check(method != DecodeMethod::dark || (std::fabs(x - top_x) <= 1 && std::fabs(y - top_y) <= 1), "decode, dark");
        check(x >= -0.5f && y >= -0.5f && x <= static_cast<float>(size.width) - 0.5f &&
                  y <= static_cast<float>(size.height) - 0.5f,
              "decode, in the image");
    }
}

void fuzz_distances(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    const Spacing spacing = bytes.spacing();
    const int64_t count = bytes.integer(0, 2), pixels = size.pixels();
    const Mask masks = bytes.masks(count, size);
    std::vector<float> out(masks.size(), NAN);
    distance_transform(masks.data(), count, size, spacing, out.data(), threads);
    for (int64_t i = 0; i < count; ++i) {
        const Mask mask(masks.begin() + i * pixels, masks.begin() + (i + 1) * pixels);
        for (int probe = 0; probe < 8; ++probe) {
            const int64_t pixel = (256 * bytes.byte() + bytes.byte() + 97 * probe) % pixels;
            const double expected = mask[pixel] ? reference::distance(mask, size, spacing.y, spacing.x, pixel) : 0,
                         got = out[i * pixels + pixel];
            check(got == expected || std::fabs(got - expected) <= 2e-7 * expected, "distance_transform");
        }
    }
}

bool close(double a, double b) { return a == b || std::fabs(a - b) <= 1e-9 * (std::fabs(a) + std::fabs(b)); }

void fuzz_surfaces(Bytes& bytes, int threads) {
    const ImageSize size = bytes.size();
    const Spacing spacing = bytes.spacing();
    const int64_t count = bytes.integer(0, 2), pixels = size.pixels();
    const Mask predicted = bytes.masks(count, size), others = bytes.masks(count, size);
    const double tolerance = bytes.tolerance(spacing);
    std::vector<double> hd95(static_cast<size_t>(count), NAN), assd(hd95), nsd(hd95.size(), -1);
    surface_distances(predicted.data(), others.data(), count, size, spacing, hd95.data(), assd.data(), threads);
    normalized_surface_dice(predicted.data(), others.data(), count, size, spacing, tolerance, nsd.data(), threads);
    for (int64_t i = 0; i < count; ++i) {
        const Mask a(predicted.begin() + i * pixels, predicted.begin() + (i + 1) * pixels);
        const Mask b(others.begin() + i * pixels, others.begin() + (i + 1) * pixels);
        const auto [expected_hd95, expected_assd] = reference::surface(a, b, size, spacing.y, spacing.x);
        check(close(hd95[i], expected_hd95), "surface_distances, hd95");
        check(close(assd[i], expected_assd), "surface_distances, assd");
        const double expected_nsd = reference::surface_dice(a, b, size, spacing.y, spacing.x, tolerance);
        check(std::isnan(expected_nsd) ? std::isnan(nsd[i]) : close(nsd[i], expected_nsd), "normalized_surface_dice");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t count) {
    Bytes bytes(data, count);
    void (*const kernels[])(Bytes&, int) = {fuzz_fill,    fuzz_coverage, fuzz_morph,     fuzz_heatmaps,
                                            fuzz_targets, fuzz_decode,   fuzz_distances, fuzz_surfaces};
    const int chosen = bytes.byte();
    kernels[chosen % 8](bytes, chosen / 8 % 3);
    return 0;
}
