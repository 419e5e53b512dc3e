// Checks of options: Python objects to the numbers and enums of the kernels. Invalid ones raise TypeError or ValueError.
#pragma once

#include <pybind11/pybind11.h>

#include <initializer_list>

#include "echoseg/band.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/heatmap.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

// The index of a word in the list of valid ones.
int choice(const char* name, py::handle value, std::initializer_list<const char*> known);

// A positive number of pixels.
double positive(const char* name, py::handle value);

// (dy, dx); 1 pixel each for None.
Spacing spacing(py::handle value);

// A distance in the unit of the spacing, finite and not negative.
double tolerance(py::handle value);

// A pair (height, width).
ImageSize image_size(py::handle size);

// The same for the last axes of an array.
ImageSize image_size(int64_t height, int64_t width);

// A rule that draws masks, that is, not "coverage".
FillRule mask_rule(py::handle rule);

StructuringElement structuring_element(py::handle kernel_size, py::handle shape, py::handle iterations);

HeatmapOptions heatmap_options(py::handle kind, py::handle sigma, py::handle radius, py::handle dtype);

}  // namespace echoseg::bindings
