// The arrays of one call: NumPy arrays and torch tensors, checked and used in place.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <initializer_list>

#include "echoseg/heatmap.hpp"
#include "echoseg/types.hpp"
#include "tensors.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

enum class Type { uint8, int64, float16, bfloat16, float32, float64 };

Type type_of(HeatmapType type);

// The required length of an axis: a number, or the name of any number.
struct Axis {
    int64_t length = 0;
    const char* name = nullptr;

    Axis(int64_t required) : length(required) {}
    Axis(const char* any) : name(any) {}
};

// An array that a kernel reads or writes. Without an object it stands for None.
struct Array {
    const char* name = "";
    py::object object;
    bool numpy = true, written = false, fresh = false;
    dlpack::Device device{dlpack::kCpu, 0};
    uint8_t* data = nullptr;
    int64_t item_bytes = 1, bytes = 0;
    std::array<int64_t, 4> shape{};

    template <typename T>
    T* as() const {
        return reinterpret_cast<T*>(data);
    }
};

// Checks that all coordinates are finite and not too large, and the values of the offsets.
void check_contours(const char* name, const Contours& contours);

void check_landmarks(const Landmarks& landmarks);

// Checks and allocates the arrays of one call of a kernel, and runs it. The first array decides about the framework and
// the device of all. Arrays that cannot be used raise TypeError or ValueError.
class Call {
   public:
    // direct: the torch operator calls, and tensors are used as they are. Otherwise calls that torch must see throw
    // NeedsOperator.
    explicit Call(bool direct) : direct_(direct) {}

    const Array& input(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape);
    // None stands for no array.
    const Array& optional(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape);
    // `out`, or a new array if it is None.
    const Array& output(const char* name, py::handle out, Type type, std::initializer_list<Axis> shape);
    // Contours (N, P, 2), or (M, 2) with offsets (N + 1,).
    Contours contours(const char* name, py::handle points, py::handle offsets);
    // (N, K, 2): the landmarks that `out` was drawn from last, or None.
    const Array& previous(py::handle landmarks, py::handle out, int64_t count, int64_t per_image);

    // Runs a kernel without the GIL: cpu(number of threads), or cuda(launch) with a workspace of so many bytes. Values
    // can be checked by `cpu` only, since reading those on a CUDA device would wait for the device. `parts` is into how
    // many parts threads can divide the work.
    template <typename Cpu, typename Cuda, typename Bytes>
    void run(int64_t parts, const Cpu& cpu, const Cuda& cuda, const Bytes& workspace_bytes) {
        check_memory();
        const Array& first = at(0);
        if (first.device.type == dlpack::kCuda) {
            on_cuda(first.object, first.device.index, workspace_bytes(), cuda);
        } else {
            const int threads = parts > 1 && in_loader_worker() ? 1 : 0;  // 0: the default number
            const py::gil_scoped_release unlocked;
            cpu(threads);
        }
        finish();
    }

   private:
    Array& at(int index) { return arrays_[static_cast<size_t>(index)]; }
    const Array& at(int index) const { return arrays_[static_cast<size_t>(index)]; }
    Array& read(const char* name, py::handle value, Type type, std::initializer_list<Axis> shape);
    void read_numpy(Array& array, Type type, std::initializer_list<Axis> shape) const;
    void read_torch(Array& array, Type type, std::initializer_list<Axis> shape) const;
    Array& allocate(const char* name, Type type, std::initializer_list<Axis> shape);
    void check_memory() const;
    void finish() const;

    const bool direct_;
    std::array<Array, 7> arrays_;  // in the order of the calls above
    int count_ = 0;
};

}  // namespace echoseg::bindings
