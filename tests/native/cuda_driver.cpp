// Compares the CUDA kernels, run on the host (cuda_on_host/), with the CPU implementation on random, extreme and
// degenerate input. Every array is a heap block of its exact size, so that AddressSanitizer detects accesses beyond it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "echoseg/decode.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/targets.hpp"
#include "random_input.hpp"

namespace echoseg::cuda {
uint64_t shared_memory[48 * 1024 / sizeof(uint64_t)];
}

namespace {

// Number of calls whose bit images were in shared memory and in the workspace.
int in_shared = 0, in_workspace = 0;

std::vector<uint8_t> make_workspace(int64_t bytes) {
    ++(bytes ? in_workspace : in_shared);
    return std::vector<uint8_t>(static_cast<size_t>(bytes), static_cast<uint8_t>(integer(0, 255)));
}

cuda::Launch with(std::vector<uint8_t>& workspace) { return {0, nullptr, workspace.data()}; }

const cuda::Launch kWithoutWorkspace{0, nullptr, nullptr};

// Offset of an array from its heap block in elements. The heap block is aligned for every load and store.
int random_shift() { return integer(0, 1) ? 0 : integer(1, 8); }

StructuringElement random_element() {
    const auto shape = static_cast<ElementShape>(integer(0, 2));
    if (integer(0, 9) == 0) return {integer(1, 32768), ElementShape::rect, integer(1, 2147483647)};
    if (integer(0, 3) == 0) return {integer(1, 80), shape, 1};
    return {integer(1, 12), shape, integer(1, 3)};
}

HeatmapOptions random_options() {
    const bool gaussian = integer(0, 1) == 0;
    const float radius = static_cast<float>(real(0.1, 30));
    return {gaussian ? HeatmapKind::gaussian : HeatmapKind::euclidean, static_cast<float>(real(0.1, 9)),
            gaussian && integer(0, 1) ? std::numeric_limits<float>::infinity() : radius,
            static_cast<HeatmapType>(integer(0, 3))};
}

std::vector<float> random_landmarks(ImageSize size, int64_t count) {
    std::vector<float> landmarks;
    for (int64_t i = 0; i < count; ++i)
        for (const int64_t side : {size.width, size.height})
            landmarks.push_back(static_cast<float>(real(-20, static_cast<double>(side) + 20)));
    landmarks.shrink_to_fit();
    return landmarks;
}

std::vector<uint8_t> random_masks(ImageSize size, int64_t count, int shift = 0) {
    std::vector<uint8_t> masks(static_cast<size_t>(count * size.pixels() + shift));
    const double share = real(0, 1);
    for (uint8_t& value : masks) value = real(0, 1) < share ? static_cast<uint8_t>(integer(1, 255)) : 0;
    return masks;
}

void try_fill(ImageSize size, const Batch& batch, FillRule rule) {
    const Contours contours = batch.contours();
    const int shift = random_shift();
    std::vector<uint8_t> masks(static_cast<size_t>(contours.count * size.pixels() + shift), 9), expected = masks;
    fill_polygons(contours, size, rule, expected.data() + shift, 1);
    auto workspace = make_workspace(cuda::fill_workspace_bytes(contours.count, size));
    cuda::fill_polygons(contours, size, rule, masks.data() + shift, with(workspace));
    check(masks == expected, "fill");
}

void try_coverage(ImageSize size, const Batch& batch) {
    const Contours contours = batch.contours();
    std::vector<float> areas(static_cast<size_t>(contours.count * size.pixels()), NAN), expected = areas;
    cover_polygons(contours, size, expected.data(), 1);
    cuda::cover_polygons(contours, size, areas.data(), kWithoutWorkspace);
    check(areas == expected, "coverage");
}

void try_band(ImageSize size, const Batch& batch) {
    const Contours contours = batch.contours();
    std::vector<uint8_t> band(static_cast<size_t>(contours.count * size.pixels()), 9), expected = band;
    const StructuringElement element = random_element();
    const auto rule = static_cast<FillRule>(integer(0, 1));
    auto workspace = make_workspace(cuda::band_workspace_bytes(contours.count, size, element));
    border_band_from_contours(contours, size, rule, element, expected.data(), 1);
    cuda::border_band_from_contours(contours, size, rule, element, band.data(), with(workspace));
    check(band == expected, "border_band_from_contours");
}

void try_distance(ImageSize size) {
    const int64_t count = integer(0, 3);
    const int shift = random_shift(), ones = integer(0, 1) ? 400 : 20000;
    auto masks = random_masks(size, count, shift);
    if (integer(0, 1))
        for (uint8_t& value : masks) value = integer(0, ones) != 0;
    const Spacing spacing = integer(0, 1) ? Spacing{real(0.1, 3), real(0.1, 3)} : Spacing{1, 1};
    std::vector<float> out(static_cast<size_t>(count * size.pixels()), NAN), expected = out;
    distance_transform(masks.data() + shift, count, size, spacing, expected.data(), 1);
    std::vector<uint8_t> workspace(static_cast<size_t>(cuda::distance_workspace_bytes(count, size)),
                                   static_cast<uint8_t>(integer(0, 255)));
    cuda::distance_transform(masks.data() + shift, count, size, spacing, out.data(), with(workspace));
    check(out == expected, "distance_transform");
}

bool near(const std::vector<double>& values, const std::vector<double>& expected) {
    for (size_t i = 0; i < values.size(); ++i)
        if (values[i] != expected[i] && !(std::abs(values[i] - expected[i]) <= 1e-12 * expected[i])) return false;
    return true;
}

// Like random_masks, but some masks are empty, full, a few pixels or a rectangle.
std::vector<uint8_t> masks_with_borders(ImageSize size, int64_t count, int shift) {
    auto masks = random_masks(size, count, shift);
    for (int64_t i = 0; i < count; ++i) {
        uint8_t* mask = masks.data() + shift + i * size.pixels();
        const int kind = integer(0, 4);
        if (kind == 4) continue;
        std::fill_n(mask, size.pixels(), static_cast<uint8_t>(kind == 1 ? 255 : 0));
        const int height = static_cast<int>(size.height), width = static_cast<int>(size.width);
        if (kind == 2)
            for (int pixels = integer(1, 4); pixels > 0; --pixels) mask[integer(0, height * width - 1)] = 1;
        if (kind != 3) continue;
        const int x = integer(0, width - 1), columns = integer(1, width - x);
        for (int y = integer(0, height - 1), end = integer(y, height); y < end; ++y)
            std::fill_n(mask + y * width + x, columns, 2);
    }
    return masks;
}

void try_surface(ImageSize size, int64_t count, const uint8_t* predicted, const uint8_t* true_masks) {
    const Spacing spacing = integer(0, 1) ? Spacing{real(0.1, 3), real(0.1, 3)} : Spacing{0.3, 0.3};
    std::vector<double> hd95(static_cast<size_t>(count), NAN), assd = hd95, expected_hd95 = hd95, expected_assd = hd95;
    surface_distances(predicted, true_masks, count, size, spacing, expected_hd95.data(), expected_assd.data(), 1);
    std::vector<uint8_t> workspace(static_cast<size_t>(cuda::surface_workspace_bytes(count, size)),
                                   static_cast<uint8_t>(integer(0, 255)));
    cuda::surface_distances(predicted, true_masks, count, size, spacing, hd95.data(), assd.data(), with(workspace));
    check(hd95 == expected_hd95, "surface_distances, hd95");
    check(near(assd, expected_assd), "surface_distances, assd");

    const double tolerance = integer(0, 1) ? spacing.y * integer(0, 5) : real(0, integer(0, 1) ? 3 : 200);
    std::vector<double> nsd(static_cast<size_t>(count), -1), expected_nsd = nsd;
    normalized_surface_dice(predicted, true_masks, count, size, spacing, tolerance, expected_nsd.data(), 1);
    workspace.assign(static_cast<size_t>(cuda::surface_dice_workspace_bytes(count, size)),
                     static_cast<uint8_t>(integer(0, 255)));
    workspace.shrink_to_fit();
    cuda::normalized_surface_dice(predicted, true_masks, count, size, spacing, tolerance, nsd.data(), with(workspace));
    for (int64_t i = 0; i < count; ++i)
        check(nsd[i] == expected_nsd[i] || (std::isnan(nsd[i]) && std::isnan(expected_nsd[i])),
              "normalized_surface_dice");
}

void try_surface(ImageSize size) {
    const int64_t count = integer(0, 3);
    const int shift = random_shift();
    const auto predicted = masks_with_borders(size, count, shift),
               true_masks = integer(0, 7) ? masks_with_borders(size, count, shift) : predicted;
    try_surface(size, count, predicted.data() + shift, true_masks.data() + shift);
}

// More pairs than blocks. Most are empty, to save time.
void try_many_surfaces() {
    const ImageSize size{4, 5};
    auto predicted = random_masks(size, 1029), true_masks = random_masks(size, 1029);
    for (auto* masks : {&predicted, &true_masks})
        std::fill(masks->begin() + 4 * 20, masks->begin() + 1024 * 20, uint8_t{0});
    try_surface(size, 1029, predicted.data(), true_masks.data());
}

void try_morph(ImageSize size) {
    const int64_t count = integer(0, 3);
    const int shift = random_shift();
    const auto shifted = random_masks(size, count, shift);
    const uint8_t* masks = shifted.data() + shift;
    std::vector<uint8_t> out(static_cast<size_t>(count * size.pixels()), 9), expected = out;
    const StructuringElement element = random_element();
    auto workspace = make_workspace(cuda::band_workspace_bytes(count, size, element));
    dilate(masks, count, size, element, expected.data(), 1);
    cuda::dilate(masks, count, size, element, out.data(), with(workspace));
    check(out == expected, "dilate");
    erode(masks, count, size, element, expected.data(), 1);
    cuda::erode(masks, count, size, element, out.data(), with(workspace));
    check(out == expected, "erode");
    border_band(masks, count, size, element, expected.data(), 1);
    cuda::border_band(masks, count, size, element, out.data(), with(workspace));
    check(out == expected, "border_band");
}

void try_heatmaps(ImageSize size) {
    const int64_t count = integer(0, 3), per_image = integer(0, 3) ? integer(0, 3) : integer(0, 20);
    const auto landmarks = random_landmarks(size, count * per_image);
    const auto band = random_masks(size, count);
    const uint8_t* cut = integer(0, 1) ? band.data() : nullptr;
    const HeatmapOptions options = random_options();
    const int64_t shift = random_shift() * bytes_of(options.type),
                  bytes = count * per_image * size.pixels() * bytes_of(options.type);
    std::vector<uint8_t> maps(static_cast<size_t>(bytes + shift), 9), expected = maps;
    const Landmarks batch{landmarks.data(), nullptr, count, per_image};
    render_heatmaps(batch, size, options, cut, expected.data() + shift, 1);
    auto workspace = make_workspace(cuda::heatmap_workspace_bytes(count, size));
    cuda::render_heatmaps(batch, size, options, cut, maps.data() + shift, with(workspace));
    check(maps == expected, "heatmaps");
}

void try_targets(ImageSize size, const Batch& batch) {
    const int64_t count = batch.contours().count, per_image = integer(0, 3);
    const auto landmarks = random_landmarks(size, count * per_image);
    const TargetOptions options{static_cast<FillRule>(integer(0, 1)), random_element(), random_options()};
    std::vector<uint8_t> masks(static_cast<size_t>(count * size.pixels()), 9), band = masks, expected_masks = masks,
                                                                               expected_band = masks;
    const int64_t bytes = count * per_image * size.pixels() * bytes_of(options.heatmap.type);
    std::vector<uint8_t> maps(static_cast<size_t>(bytes), 9), expected = maps;
    const Landmarks points{landmarks.data(), nullptr, count, per_image};
    render_targets(batch.contours(), points, size, options, expected_masks.data(), expected_band.data(),
                   expected.data(), 1);
    auto workspace = make_workspace(cuda::band_workspace_bytes(count, size, options.element));
    cuda::render_targets(batch.contours(), points, size, options, masks.data(), band.data(), maps.data(),
                         with(workspace));
    check(masks == expected_masks, "targets, mask");
    check(band == expected_band, "targets, band");
    check(maps == expected, "targets, heatmaps");
}

void try_decode(ImageSize size) {
    const int64_t planes = integer(0, 4);
    std::vector<float> maps(static_cast<size_t>(planes * size.pixels()));
    const int kind = integer(0, 4);
    const auto peaks = random_landmarks(size, planes);
    const HeatmapOptions gaussian{HeatmapKind::gaussian, 2.5f, std::numeric_limits<float>::infinity(),
                                  HeatmapType::float32};
    if (kind == 4) render_heatmaps({peaks.data(), nullptr, planes, 1}, size, gaussian, nullptr, maps.data(), 1);
    for (float& value : maps) {
        if (kind == 4) break;
        value = static_cast<float>(kind == 0 ? real(-1, 1) : integer(-2, 1));
        if (kind == 1 && value == 0) value = -0.0f;
        if (kind == 2 && integer(0, 50) == 0) value = NAN;
        if (kind == 3) value = -INFINITY;
    }
    std::vector<float> points(static_cast<size_t>(2 * planes)), confidence(static_cast<size_t>(planes));
    auto expected_points = points, expected = confidence;
    const auto method = static_cast<DecodeMethod>(integer(0, 2));
    const auto window = static_cast<float>(real(0.5, 8));
    decode_heatmaps(maps.data(), planes, size, method, window, expected_points.data(), expected.data(), 1);
    cuda::decode_heatmaps(maps.data(), planes, size, method, window, points.data(), confidence.data(),
                          kWithoutWorkspace);
    check(points == expected_points, "decode, points");
    check(expected.empty() || std::memcmp(confidence.data(), expected.data(), expected.size() * sizeof(float)) == 0,
          "decode, confidence");
}

// Contours and landmarks that the CPU implementation rejects draw nothing; their neighbours are drawn.
void try_invalid_values() {
    const ImageSize size{20, 33};
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float invalid : {NAN, infinity, -infinity, 3e38f, 1048577.0f}) {
        Batch batch;
        batch.points = {1, 1, 30, 1, 10, 18, 2, 2, 20, invalid, 5, 19, 3, 3, 9, 4, 12, 17};
        batch.offsets = {0, 3, 6, 9};
        const std::vector<float> landmarks = {5, 5, invalid, 9, 7, 7};
        const TargetOptions options{
            FillRule::opencv, {3, ElementShape::rect, 1}, {HeatmapKind::gaussian, 3, 2e6f, HeatmapType::float32}};
        std::vector<uint8_t> masks(static_cast<size_t>(3 * size.pixels()), 9), band = masks;
        std::vector<float> maps(static_cast<size_t>(3 * size.pixels()), NAN);
        cuda::render_targets(batch.contours(), {landmarks.data(), nullptr, 3, 1}, size, options, masks.data(),
                             band.data(), maps.data(), kWithoutWorkspace);
        for (int64_t i = 0; i < 3; ++i) {
            int64_t inside = 0;
            double sum = 0;
            for (int64_t p = i * size.pixels(); p < (i + 1) * size.pixels(); ++p) {
                inside += masks[static_cast<size_t>(p)];
                sum += maps[static_cast<size_t>(p)];
            }
            check(i == 1 ? inside == 0 && sum == 0 : inside > 20 && sum > 0, "invalid values");
        }
        batch.offsets = {-9, 3, -5, 1000000};
        cuda::fill_polygons(batch.contours(), size, FillRule::center, masks.data(), kWithoutWorkspace);
        cuda::cover_polygons(batch.contours(), size, maps.data(), kWithoutWorkspace);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 150;
    for (int round = 0; round < rounds; ++round) {
        const bool wide = round % 8 == 1;
        const ImageSize size{integer(1, 70), wide ? integer(6000, 14000) : 4 * integer(1, 40) - 3 * integer(0, 1)};
        const Batch batch = random_batch(size, wide ? integer(1, 2) : integer(0, 6));
        try_fill(size, batch, FillRule::center);
        try_fill(size, batch, FillRule::opencv);
        try_coverage(size, batch);
        try_morph(size);
        try_band(size, batch);
        try_heatmaps(size);
        try_targets(size, batch);
        try_decode(size);
        try_distance(size);
        try_surface(size);
        if (round % 8) continue;
        const ImageSize tall{integer(100, 400), integer(1, 20)};
        try_distance(tall);
        try_surface(tall);
        try_surface(integer(0, 1) ? ImageSize{1, size.width} : ImageSize{size.height, 1});
    }
    const ImageSize widest{2, 1 << 20};
    try_fill(widest, random_batch(widest, 1), FillRule::opencv);
    try_heatmaps(widest);
    try_distance({2, 20000});
    try_many_surfaces();
    try_invalid_values();
    std::printf("%d calls in shared memory, %d in the workspace\n", in_shared, in_workspace);
    check(in_shared > 2 * rounds && in_workspace > rounds / 10, "bit images in both kinds of memory");
    std::printf("passed\n");
}
