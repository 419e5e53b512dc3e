// Torch tensors without torch's headers: their memory through DLPack's exchange functions, which torch offers as C
// functions since version 2.10, and all else through Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <functional>
#include <string>

#include "echoseg/device.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

// Thrown where torch must see a call: a tensor or a mode of torch is active that does more than compute.
struct NeedsOperator {};

namespace dlpack {  // the binary interface of DLPack 1, https://dmlc.github.io/dlpack/latest/c_api.html

enum DeviceType : int32_t { kCpu = 1, kCuda = 2 };
enum TypeCode : uint8_t { kInt = 0, kUint = 1, kFloat = 2, kBfloat = 4 };

struct Device {
    int32_t type, index;

    bool operator==(const Device& other) const { return type == other.type && index == other.index; }
};

struct DataType {
    uint8_t code, bits;
    uint16_t lanes;
};

struct Tensor {
    void* data;
    Device device;
    int32_t axes;
    DataType type;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};

}  // namespace dlpack

// Whether a value is a torch tensor. Without torch there are no tensors; torch is not imported.
bool is_tensor(py::handle value);

// Throws NeedsOperator while torch traces (torch.jit.trace, make_fx) or one of its modes is active.
void require_no_mode();

// Throws NeedsOperator if a tensor is of a subclass, or is a view that negates the values in memory, which only parts of
// complex tensors are.
void require_plain(py::handle tensor, bool floating);

// The memory of a tensor. Returns false with a Python exception set if the tensor has none that can be read.
bool read_tensor(py::handle tensor, dlpack::Tensor& memory);

// torch.dtype as text, such as "float32".
std::string dtype_name(py::handle tensor);

// A new tensor on the CPU, and its memory. Calling torch.empty takes three times as long.
py::object new_cpu_tensor(dlpack::DataType type, const int64_t* shape, int axes, int64_t bytes, uint8_t*& data);

// A new tensor on the device of another.
py::object empty_tensor(const py::tuple& shape, const char* dtype, py::handle like);

// Lets autograd know that tensors have been written to.
void increment_versions(const py::tuple& tensors);

// Whether this process is a worker of a DataLoader.
bool in_loader_worker();

// Runs a function with the current stream of the tensor's CUDA device and a workspace on it, without the GIL and while
// the device is the current one.
void on_cuda(py::handle tensor, int device, int64_t workspace_bytes,
             const std::function<void(const cuda::Launch&)>& run);

}  // namespace echoseg::bindings
