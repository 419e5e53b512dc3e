#include "arrays.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "echoseg/device.hpp"
#include "echoseg/polygon.hpp"
#include "python.hpp"

namespace echoseg::bindings {
namespace {

using NumPy = py::detail::npy_api;

constexpr double kMaxBytes = 4611686018427387904.0;  // 2^62

struct TypeFacts {
    const char* name;
    int64_t bytes;
    char numpy_kind;
    uint8_t dlpack_code;
    int numpy_number;  // NPY_TYPES of an array of so many bytes
};

constexpr int kNumPyHalf = 23;

const TypeFacts& facts(Type type) {
    static constexpr TypeFacts kFacts[] = {
        {"uint8", 1, 'u', dlpack::kUint, NumPy::NPY_UINT8_},
        {"int64", 8, 'i', dlpack::kInt, NumPy::NPY_INT64_},
        {"float16", 2, 'f', dlpack::kFloat, kNumPyHalf},
        {"bfloat16", 2, 'b', dlpack::kBfloat, NumPy::NPY_UINT16_},
        {"float32", 4, 'f', dlpack::kFloat, NumPy::NPY_FLOAT_},
        {"float64", 8, 'f', dlpack::kFloat, NumPy::NPY_DOUBLE_},
    };
    return kFacts[static_cast<int>(type)];
}

dlpack::DataType dlpack_type(Type type) {
    return {facts(type).dlpack_code, static_cast<uint8_t>(8 * facts(type).bytes), 1};
}

[[noreturn]] void wrong_type(const Array& array, Type type, const std::string& found) {
    throw py::type_error(std::string(array.name) + " must be " + facts(type).name + ", not " + found);
}

std::string shape_text(const Axis* axes, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i)
        text += (i ? ", " : "") + (axes[i].name ? std::string(axes[i].name) : std::to_string(axes[i].length));
    return "(" + text + ")";
}

// Checks the shape and copies it.
template <typename Length>
void take_shape(Array& array, const Length* found, int axes, std::initializer_list<Axis> required) {
    bool fits = axes == static_cast<int>(required.size());
    for (int i = 0; fits && i < axes; ++i) {
        const Axis& axis = required.begin()[i];
        array.shape[static_cast<size_t>(i)] = found[i];
        fits = axis.name != nullptr || found[i] == axis.length;
    }
    if (fits) return;
    const std::vector<Axis> lengths(found, found + axes);
    throw py::value_error(std::string(array.name) + " must have the shape " +
                          shape_text(required.begin(), required.size()) + ", not " +
                          shape_text(lengths.data(), lengths.size()));
}

bool is_contiguous(const dlpack::Tensor& tensor) {
    int64_t step = 1;
    bool packed = true;
    for (int i = tensor.axes - 1; i >= 0; --i) {
        if (tensor.shape[i] == 0) return true;
        if (tensor.shape[i] != 1 && tensor.strides != nullptr) packed = packed && tensor.strides[i] == step;
        step *= tensor.shape[i];
    }
    return packed;
}

void check_device(const Array& array, bool supported) {
    if (!supported)
        throw py::value_error(std::string(array.name) + " is on " + text(array.object.attr("device")) +
                              ", but the kernels run on the CPU and on CUDA devices; call .cpu() on it");
}

// Raises the error of a tensor whose memory cannot be read. A Python exception is set.
[[noreturn]] void cannot_read(const Array& array, Type type, bool direct) {
    const py::error_already_set error;
    const std::string found = dtype_name(array.object), device = text(array.object.attr("device").attr("type"));
    if (found != facts(type).name) wrong_type(array, type, found);
    check_device(array, device == "cpu" || device == "cuda");
    if (text(array.object.attr("layout")) != "torch.strided")
        throw py::value_error(std::string(array.name) + " must be a dense tensor; call .to_dense() on it");
    if (!direct) throw NeedsOperator();
    throw error;
}

void check_points(const char* name, const float* points, int64_t count) {
    const int64_t index = find_invalid_point(points, count);
    if (index >= 0)
        throw py::value_error(std::string(name) + " must be finite and at most " +
                              std::to_string(static_cast<int64_t>(kCoordinateLimit)) +
                              " pixels from the origin; point " + std::to_string(index) + " is not");
}

}  // namespace

void check_contours(const char* name, const Contours& contours) {
    const int64_t *offsets = contours.offsets, count = contours.count;
    if (offsets == nullptr) return check_points(name, contours.points, count * contours.points_per_contour);
    const int64_t points = contours.points_per_contour;
    if (offsets[0] != 0 || offsets[count] != points)
        throw py::value_error("offsets must run from 0 to " + std::to_string(points) +
                              ", the number of points, not from " + std::to_string(offsets[0]) + " to " +
                              std::to_string(offsets[count]));
    for (int64_t i = 0; i < count; ++i)
        if (offsets[i + 1] < offsets[i])
            throw py::value_error("offsets must not decrease, but offsets[" + std::to_string(i + 1) +
                                  "] is less than offsets[" + std::to_string(i) + "]");
    check_points(name, contours.points, points);
}

void check_landmarks(const Landmarks& landmarks) {
    const int64_t points = landmarks.count * landmarks.per_image;
    check_points("landmarks", landmarks.points, points);
    if (landmarks.previous != nullptr) check_points("previous", landmarks.previous, points);
}

Type type_of(HeatmapType type) {
    switch (type) {
        case HeatmapType::bfloat16: return Type::bfloat16;
        case HeatmapType::float16: return Type::float16;
        case HeatmapType::uint8: return Type::uint8;
        default: return Type::float32;
    }
}

const Array& Call::input(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape) {
    return read(name, value, type, shape);
}

const Array& Call::optional(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape) {
    static const Array none;
    return value.is_none() ? none : read(name, value, type, shape);
}

const Array& Call::output(const char* name, py::handle out, Type type, std::initializer_list<Axis> shape) {
    if (type == Type::bfloat16 && at(0).numpy)
        throw py::value_error("NumPy has no bfloat16; pass torch tensors, or use \"float16\"");
    double bytes = static_cast<double>(facts(type).bytes);
    for (const Axis& axis : shape) bytes *= static_cast<double>(axis.length);
    if (bytes > kMaxBytes)
        throw py::value_error(std::string(name) + " of shape " + shape_text(shape.begin(), shape.size()) +
                              " would be too large to address");
    if (out.is_none()) return allocate(name, type, shape);
    Array& array = read(name, out, type, shape);
    array.written = true;
    if (array.numpy && !py::reinterpret_borrow<py::array>(out).writeable())
        throw py::value_error(std::string(name) + " must be writeable");
    return array;
}

Contours Call::contours(const char* name, py::handle points, py::handle offsets) {
    if (offsets.is_none()) {
        const Array& array = read(name, points, Type::float32, {"N", "P", int64_t{2}});
        return {array.as<const float>(), nullptr, array.shape[0], array.shape[1]};
    }
    const Array& flat = read(name, points, Type::float32, {"M", int64_t{2}});
    const Array& cuts = read("offsets", offsets, Type::int64, {"N + 1"});
    if (cuts.shape[0] == 0) throw py::value_error("offsets must not be empty: N contours have N + 1 offsets");
    return {flat.as<const float>(), cuts.as<const int64_t>(), cuts.shape[0] - 1, flat.shape[0]};
}

const Array& Call::previous(py::handle landmarks, py::handle out, int64_t count, int64_t per_image) {
    if (!landmarks.is_none() && out.is_none())
        throw py::value_error("previous requires out: pass the output that was drawn from these landmarks");
    return optional("previous", landmarks, Type::float32, {count, per_image, int64_t{2}});
}

Array& Call::read(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape) {
    Array& array = at(count_);
    const Array& first = at(0);
    array.name = name;
    array.object = py::reinterpret_borrow<py::object>(value);
    array.numpy = NumPy::get().PyArray_Check_(value.ptr());
    if (!array.numpy && !is_tensor(value))
        throw py::type_error(std::string(name) + " must be a NumPy array or a torch tensor, not " + type_name(value));
    if (array.numpy != first.numpy)
        throw py::type_error(std::string(name) + " must be of the same framework as the other arrays (NumPy or torch)");
    if (array.numpy) {
        read_numpy(array, type, shape);
    } else {
        read_torch(array, type, shape);
    }
    if (!(array.device == first.device))
        throw py::value_error(std::string(name) + " must be on the same device as the other arrays, " +
                              text(first.object.attr("device")) + ", not on " + text(value.attr("device")));
    array.item_bytes = array.bytes = facts(type).bytes;
    for (size_t i = 0; i < shape.size(); ++i) array.bytes *= array.shape[i];
    ++count_;
    return array;
}

void Call::read_numpy(Array& array, Type type, std::initializer_list<Axis> shape) const {
    const bool subclass = Py_TYPE(array.object.ptr()) != NumPy::get().PyArray_Type_;
    if (subclass && py::isinstance(array.object, py::module_::import("numpy.ma").attr("MaskedArray")))
        throw py::type_error(std::string(array.name) +
                             " must not be a masked array, because the kernels ignore masks; use .filled()");
    const auto view = py::reinterpret_borrow<py::array>(array.object);
    const py::dtype dtype = view.dtype();
    if (dtype.kind() != facts(type).numpy_kind || dtype.itemsize() != facts(type).bytes)
        wrong_type(array, type, text(dtype.attr("name")));
    take_shape(array, view.shape(), static_cast<int>(view.ndim()), shape);
    constexpr int kLayout = NumPy::NPY_ARRAY_C_CONTIGUOUS_ | NumPy::NPY_ARRAY_ALIGNED_;
    const char order = dtype.byteorder();
    const bool native = order == '=' || order == '|' || order == (PY_LITTLE_ENDIAN ? '<' : '>');
    if (!native || (view.flags() & kLayout) != kLayout)
        throw py::value_error(std::string(array.name) +
                              " must be contiguous, aligned and in native byte order; use numpy.array(x, dtype=numpy." +
                              facts(type).name + ", order=\"C\")");
    array.data = static_cast<uint8_t*>(const_cast<void*>(view.data()));
}

void Call::read_torch(Array& array, Type type, std::initializer_list<Axis> shape) const {
    if (!direct_) {
        if (count_ == 0) require_no_mode();
        require_plain(array.object, type != Type::uint8 && type != Type::int64);
    }
    dlpack::Tensor memory{};
    if (!read_tensor(array.object, memory)) cannot_read(array, type, direct_);
    const dlpack::DataType required = dlpack_type(type);
    if (memory.type.code != required.code || memory.type.bits != required.bits || memory.type.lanes != 1)
        wrong_type(array, type, dtype_name(array.object));
    take_shape(array, memory.shape, memory.axes, shape);
    if (!is_contiguous(memory))
        throw py::value_error(std::string(array.name) + " must be contiguous; call .contiguous() on it");
    check_device(array, memory.device.type == dlpack::kCpu || memory.device.type == dlpack::kCuda);
    array.device = memory.device;
    array.data = static_cast<uint8_t*>(memory.data) + memory.byte_offset;
}

Array& Call::allocate(const char* name, Type type, std::initializer_list<Axis> shape) {
    Array& array = at(count_);
    array.name = name;
    array.numpy = at(0).numpy;
    array.device = at(0).device;
    array.written = array.fresh = true;
    std::array<Py_intptr_t, 4> lengths{};
    array.item_bytes = array.bytes = facts(type).bytes;
    for (size_t i = 0; i < shape.size(); ++i) {
        array.shape[i] = shape.begin()[i].length;
        lengths[i] = static_cast<Py_intptr_t>(array.shape[i]);
        array.bytes *= array.shape[i];
    }
    const auto axes = static_cast<int>(shape.size());
    if (array.numpy) {
        const NumPy& numpy = NumPy::get();
        array.object = checked(numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_,
                                                           numpy.PyArray_DescrFromType_(facts(type).numpy_number), axes,
                                                           lengths.data(), nullptr, nullptr, 0, nullptr));
        array.data = static_cast<uint8_t*>(py::reinterpret_borrow<py::array>(array.object).mutable_data());
    } else if (array.device.type == dlpack::kCpu) {
        array.object = new_cpu_tensor(dlpack_type(type), array.shape.data(), axes, array.bytes, array.data);
    } else {
        py::tuple size(shape.size());
        for (size_t i = 0; i < shape.size(); ++i) size[i] = array.shape[i];
        array.object = empty_tensor(size, facts(type).name, at(0).object);
        dlpack::Tensor memory{};
        if (!read_tensor(array.object, memory)) throw py::error_already_set();
        array.data = static_cast<uint8_t*>(memory.data) + memory.byte_offset;
    }
    ++count_;
    return array;
}

void Call::check_memory() const {
    for (int i = 0; i < count_; ++i) {
        const Array& array = at(i);
        if (reinterpret_cast<uintptr_t>(array.data) % static_cast<uintptr_t>(array.item_bytes) != 0)
            throw py::value_error(std::string(array.name) + " must be aligned to its dtype; call .clone() on it");
    }
    for (int i = 0; i < count_; ++i) {
        const Array& out = at(i);
        if (!out.written) continue;
        if (out.device.type == dlpack::kCuda && !cuda::built())
            throw std::runtime_error(std::string(out.name) +
                                     " is on a CUDA device, but this build of echoseg has no CUDA kernels: install it"
                                     " with -Ccmake.define.ECHOSEG_CUDA=ON, or call .cpu() on it");
        for (int j = 0; j < count_; ++j) {
            const Array& other = at(j);
            if (j == i || (j < i && other.written)) continue;
            if (out.data < other.data + other.bytes && other.data < out.data + out.bytes)
                throw py::value_error(std::string(out.name) + " must not share memory with " + other.name);
        }
    }
}

void Call::finish() const {
    if (direct_ || at(0).numpy) return;  // the torch operator counts by itself
    const auto changed = [](const Array& array) { return array.written && !array.fresh; };
    const auto count = std::count_if(arrays_.begin(), arrays_.end(), changed);
    if (count == 0) return;
    py::tuple tensors(static_cast<size_t>(count));
    size_t i = 0;
    for (const Array& array : arrays_)
        if (changed(array)) tensors[i++] = array.object;
    increment_versions(tensors);
}

}  // namespace echoseg::bindings
