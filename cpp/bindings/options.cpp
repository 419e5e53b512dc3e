#include "options.hpp"

#include <limits>
#include <string>

#include "echoseg/types.hpp"
#include "python.hpp"

namespace echoseg::bindings {
namespace {

constexpr int64_t kMaxSide = 1 << 20, kMaxKernelSize = 1 << 15;

py::object item(py::handle pair, int index) { return checked(PySequence_GetItem(pair.ptr(), index)); }

bool is_numpy(py::handle value, const char* type) {
    return py::isinstance(value, py::module_::import("numpy").attr(type));
}

bool is_integer(py::handle value) {
    return PyLong_CheckExact(value.ptr()) ||
           (!PyBool_Check(value.ptr()) && (PyLong_Check(value.ptr()) || is_numpy(value, "integer")));
}

// Whether a value is a number; sets `number`, to infinity if it is too large for a double.
bool read_number(py::handle value, double& number) {
    if (!PyFloat_Check(value.ptr()) && !is_integer(value) && !is_numpy(value, "floating")) return false;
    number = PyFloat_AsDouble(value.ptr());
    if (number == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw py::error_already_set();
        PyErr_Clear();
        number = std::numeric_limits<double>::infinity();
    }
    return true;
}

int64_t integer(const char* name, py::handle value, int64_t minimum, int64_t maximum) {
    if (!is_integer(value)) throw py::type_error(std::string(name) + " must be an integer, not " + type_name(value));
    const py::object whole = checked(PyNumber_Index(value.ptr()));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow != 0 || number < minimum || number > maximum)
        throw py::value_error(std::string(name) + " must be between " + std::to_string(minimum) + " and " +
                              std::to_string(maximum) + ", not " + text(value));
    return number;
}

bool is_pair(py::handle value) { return py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value); }

}  // namespace

int choice(const char* name, py::handle value, std::initializer_list<const char*> known) {
    int code = 0;
    std::string words;
    for (const char* word : known) {
        if (PyUnicode_Check(value.ptr()) && PyUnicode_CompareWithASCIIString(value.ptr(), word) == 0) return code;
        ++code;
    }
    for (const char* word : known) words += (words.empty() ? "" : ", ") + std::string(word);
    throw py::value_error("unknown " + std::string(name) + " " + text(py::repr(value)) + "; known: " + words);
}

double positive(const char* name, py::handle value) {
    double number;
    if (!read_number(value, number))
        throw py::type_error(std::string(name) + " must be a number, not " + type_name(value));
    if (!(1e-3 <= number && number <= static_cast<double>(kCoordinateLimit)))
        throw py::value_error(std::string(name) + " must be between 0.001 and " +
                              std::to_string(static_cast<int64_t>(kCoordinateLimit)) + " pixels, not " + text(value));
    return number;
}

Spacing spacing(py::handle value) {
    if (value.is_none()) return {1.0, 1.0};
    if (!(is_pair(value) || is_numpy(value, "ndarray")) || py::len(value) != 2)
        throw py::type_error("spacing must be a pair (dy, dx), not " + text(py::repr(value)));
    double steps[2];
    for (int i = 0; i < 2; ++i) {
        const py::object step = item(value, i);
        if (!read_number(step, steps[i]))
            throw py::type_error("spacing must contain two numbers, not " + type_name(step));
        if (!(1e-9 <= steps[i] && steps[i] <= 1e9))
            throw py::value_error("spacing must be between 1e-9 and 1e9, not " + text(step));
    }
    return {steps[0], steps[1]};
}

double tolerance(py::handle value) {
    double distance;
    if (!read_number(value, distance)) throw py::type_error("tolerance must be a number, not " + type_name(value));
    if (!(0.0 <= distance && distance < std::numeric_limits<double>::infinity()))
        throw py::value_error("tolerance must be finite and not negative, not " + text(value));
    return distance;
}

ImageSize image_size(py::handle size) {
    if (!is_pair(size) || py::len(size) != 2)
        throw py::type_error("size must be a pair (height, width), not " + text(py::repr(size)));
    const py::object height = item(size, 0), width = item(size, 1);
    return {integer("height", height, 1, kMaxSide), integer("width", width, 1, kMaxSide)};
}

ImageSize image_size(int64_t height, int64_t width) {
    if (height >= 1 && height <= kMaxSide && width >= 1 && width <= kMaxSide) return {height, width};
    return image_size(py::make_tuple(height, width));  // raises the error
}

FillRule mask_rule(py::handle rule) {
    const int code = choice("rule", rule, {"center", "opencv", "coverage"});
    if (code == 2) throw py::value_error("rule 'coverage' draws areas, not masks; choose one of: center, opencv");
    return static_cast<FillRule>(code);
}

StructuringElement structuring_element(py::handle kernel_size, py::handle shape, py::handle iterations) {
    const int64_t size = integer("kernel_size", kernel_size, 1, kMaxKernelSize);
    const auto element = static_cast<ElementShape>(choice("shape", shape, {"rect", "cross", "ellipse"}));
    const int64_t times = integer("iterations", iterations, 1, std::numeric_limits<int32_t>::max());
    return {static_cast<int>(size), element, static_cast<int>(times)};
}

HeatmapOptions heatmap_options(py::handle kind, py::handle sigma, py::handle radius, py::handle dtype) {
    const auto of_kind = static_cast<HeatmapKind>(choice("kind", kind, {"gaussian", "euclidean"}));
    const auto type = static_cast<HeatmapType>(choice("dtype", dtype, {"float32", "bfloat16", "float16", "uint8"}));
    if (radius.is_none() && of_kind == HeatmapKind::euclidean)
        throw py::value_error("kind \"euclidean\" requires a radius");
    const double limit = radius.is_none() ? std::numeric_limits<double>::infinity() : positive("radius", radius);
    return {of_kind, static_cast<float>(positive("sigma", sigma)), static_cast<float>(limit), type};
}

}  // namespace echoseg::bindings
