// Exact area coverage (detail/coverage.hpp). As on the CPU, the output array first holds the differences between
// neighbouring pixels as int32, which are then summed along the rows. The sum of integers does not depend on the order,
// so atomics can be used.
#include "echoseg/detail/coverage.hpp"

#include "echoseg/detail/narrow.hpp"
#include "polygon.cuh"

namespace echoseg::cuda {
namespace {

struct CoverArguments {
    Strips strips;
    Contours contours;
    float* areas;
};

__device__ inline void add_span(const detail::CoverageSpan& span, int32_t width, int32_t* row) {
    const double limit = static_cast<double>(width);
    if (span.low >= limit) return;
    const double from = floor(span.low), to = ceil(span.high);
    int32_t c = static_cast<int32_t>(from > 0.0 ? from : 0.0), before = 0;
    const int32_t end = static_cast<int32_t>(to > 0.0 ? (to < limit ? to : limit) : 0.0);
    for (; c < end; ++c) {
        const int32_t covered = span.covered(c);
        atomicAdd(row + c, covered - before);
        before = covered;
    }
    if (c < width) atomicAdd(row + c, span.height - before);
}

// rows: the rows of the strip in the output.
__device__ inline void add_edge(const Strips& s, const Strip& strip, const float* a, const float* b, int64_t lane,
                                int bits, int32_t* rows) {
    detail::Edge edge = detail::make_edge(a[0], a[1], b[0], b[1]);
    edge = {edge.x0 + 0.5, edge.y0 + 0.5, edge.x1 + 0.5, edge.y1 + 0.5};
    if (edge.y0 == edge.y1) return;
    const RowRange crossed =
        in_window(strip, static_cast<int64_t>(floor(edge.y0)), static_cast<int64_t>(ceil(edge.y1)));
    for (int64_t y = crossed.first + lane; y < crossed.end; y += kEdgeLanes)
        add_span(detail::coverage_span(edge, a[1] < b[1], y, bits), s.width, rows + (y - strip.first_row) * s.width);
}

__global__ void __launch_bounds__(kThreads) cover_kernel(CoverArguments a) {
    const int64_t threads = blockDim.x, thread = threadIdx.x, width = a.strips.width;
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        int32_t* rows = reinterpret_cast<int32_t*>(a.areas) + (strip.image * a.strips.height + strip.first_row) * width;
        const auto clear_rows = [&] {
            for (int64_t p = thread; p < strip.rows * width; p += threads) rows[p] = 0;
        };
        clear_rows();
        __syncthreads();
        const Polygon polygon = polygon_of(a.contours, strip.image);
        const int bits = detail::coverage_bits(polygon.count);
        const bool valid = for_each_edge(polygon, [&](const float* from, const float* to, int64_t lane) {
            if (polygon.count >= 3) add_edge(a.strips, strip, from, to, lane, bits, rows);
        });
        if (valid) {
            for (int64_t y = thread; y < strip.rows; y += threads) {
                int32_t sum = 0;
                for (int64_t x = 0; x < width; ++x) {
                    int32_t* pixel = rows + y * width + x;
                    sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(*pixel));
                    *pixel = detail::bits_of(detail::coverage_value(sum, bits));
                }
            }
        } else {
            clear_rows();
        }
        __syncthreads();
    }
}

}  // namespace

void cover_polygons(const Contours& contours, ImageSize size, float* areas, const Launch& launch) {
    const Strips strips = partition(contours.count, size, 0, 1, nullptr);
    start(launch, "cover_polygons", cover_kernel, strips.count, 0, CoverArguments{strips, contours, areas});
}

}  // namespace echoseg::cuda
