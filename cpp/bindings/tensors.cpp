#include "tensors.hpp"

#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "python.hpp"

namespace echoseg::bindings {
namespace {

// DLManagedTensorVersioned of DLPack 1.
struct ManagedTensor {
    uint32_t major, minor;
    void* context;
    void (*release)(ManagedTensor*);
    uint64_t flags;
    dlpack::Tensor tensor;
};

// DLPackExchangeAPI of DLPack 1. Functions that are not used here have no type.
struct ExchangeApi {
    uint32_t major, minor;
    void *previous, *allocate, *to_managed;
    int (*from_managed)(ManagedTensor* tensor, void** object);
    int (*read)(void* object, dlpack::Tensor* tensor);
    void* current_stream;
};

// A tensor that owns its memory: one block from malloc, of which this is the beginning.
struct OwnedTensor {
    static constexpr size_t kAlignment = 64;

    ManagedTensor managed;
    int64_t shape[4], strides[4];
};

// What every call needs of torch: looked up when the first tensor is seen, and kept for ever.
struct Torch {
    py::object module, tensor, parameter, is_neg, increment_version;
    std::vector<py::object> modes;  // functions that return something true while a mode is active
    const ExchangeApi* exchange;

    explicit Torch(py::object torch)
        : module(std::move(torch)),
          tensor(module.attr("Tensor")),
          parameter(module.attr("nn").attr("Parameter")),
          is_neg(tensor.attr("is_neg")),
          increment_version(module.attr("_C").attr("_increment_version")) {
        const py::object native = module.attr("_C");
        for (const char* name : {"_len_torch_dispatch_stack", "_is_torch_function_mode_enabled", "_is_tracing"})
            modes.push_back(native.attr(name));
        const py::object capsule = tensor.attr("__dlpack_c_exchange_api__");
        exchange = static_cast<const ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
        if (exchange == nullptr) throw py::error_already_set();
        if (exchange->major != 1 || exchange->read == nullptr)
            throw std::runtime_error("this version of torch offers another version of DLPack than 1");
    }
};

py::object imported(const char* name) {
    auto module = py::reinterpret_steal<py::object>(PyImport_GetModule(py::str(name).ptr()));
    if (!module && PyErr_Occurred()) throw py::error_already_set();
    return module && !module.is_none() ? module : py::object();
}

// Null while torch has not been imported.
const Torch* find_torch() {
    // Not a static initialiser: if the process forks while it runs, it blocks the child for ever.
    static std::atomic<const Torch*> found{nullptr};
    const Torch* torch = found.load();
    if (torch == nullptr)
        if (py::object module = imported("torch"); module && py::hasattr(module, "Tensor"))
            found.store(torch = new Torch(std::move(module)));
    return torch;
}

}  // namespace

bool is_tensor(py::handle value) {
    const Torch* torch = find_torch();
    if (torch == nullptr) return false;
    const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(value.ptr()));
    return type == torch->tensor.ptr() || py::isinstance(value, torch->tensor);
}

void require_no_mode() {
    for (const py::object& mode : find_torch()->modes)
        if (PyObject_IsTrue(checked(PyObject_CallNoArgs(mode.ptr())).ptr()) != 0) throw NeedsOperator();
}

void require_plain(py::handle tensor, bool floating) {
    const Torch* torch = find_torch();
    const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor.ptr()));
    if (type != torch->tensor.ptr() && type != torch->parameter.ptr()) throw NeedsOperator();
    if (!floating) return;
    PyObject* arguments[] = {tensor.ptr()};
    if (checked(PyObject_Vectorcall(torch->is_neg.ptr(), arguments, 1, nullptr)).ptr() != Py_False)
        throw NeedsOperator();
}

bool read_tensor(py::handle tensor, dlpack::Tensor& memory) {
    if (find_torch()->exchange->read(tensor.ptr(), &memory) != 0) return false;
    int64_t values = 1;
    for (int i = 0; i < memory.axes; ++i) values *= memory.shape[i];
    if (memory.data != nullptr || values == 0) return true;
    PyErr_SetString(PyExc_RuntimeError, "the tensor has no memory");  // such as one of torch.func.functionalize
    return false;
}

std::string dtype_name(py::handle tensor) {
    const std::string name = text(tensor.attr("dtype"));
    const std::string prefix = "torch.";
    return name.compare(0, prefix.size(), prefix) == 0 ? name.substr(prefix.size()) : name;
}

py::object new_cpu_tensor(dlpack::DataType type, const int64_t* shape, int axes, int64_t bytes, uint8_t*& data) {
    auto* owned = static_cast<OwnedTensor*>(
        std::malloc(sizeof(OwnedTensor) + OwnedTensor::kAlignment + static_cast<size_t>(bytes)));
    if (owned == nullptr) throw std::bad_alloc();
    const uintptr_t end = reinterpret_cast<uintptr_t>(owned + 1) + OwnedTensor::kAlignment - 1;
    data = reinterpret_cast<uint8_t*>(end - end % OwnedTensor::kAlignment);
    int64_t step = 1;
    for (int i = axes - 1; i >= 0; --i) {
        owned->shape[i] = shape[i];
        owned->strides[i] = step;
        step *= shape[i];
    }
    owned->managed = {1,       0,
                      nullptr, [](ManagedTensor* tensor) { std::free(tensor); },
                      0,       {data, {dlpack::kCpu, 0}, axes, type, owned->shape, owned->strides, 0}};
    void* object = nullptr;
    if (find_torch()->exchange->from_managed(&owned->managed, &object) != 0) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(static_cast<PyObject*>(object));
}

py::object empty_tensor(const py::tuple& shape, const char* dtype, py::handle like) {
    const py::object& torch = find_torch()->module;
    return torch.attr("empty")(shape, py::arg("dtype") = torch.attr(dtype), py::arg("device") = like.attr("device"));
}

void increment_versions(const py::tuple& tensors) {
    checked(PyObject_CallOneArg(find_torch()->increment_version.ptr(), tensors.ptr()));
}

bool in_loader_worker() {
    const py::object loader = imported("torch.utils.data");
    return loader && !loader.attr("get_worker_info")().is_none();
}

void on_cuda(py::handle tensor, int device, int64_t workspace_bytes,
             const std::function<void(const cuda::Launch&)>& run) {
    const py::object torch_cuda = find_torch()->module.attr("cuda"), scope = torch_cuda.attr("device")(device);
    scope.attr("__enter__")();
    try {
        // The workspace may be freed before the kernel has run: whatever reuses it runs later on the same stream.
        const py::object workspace = empty_tensor(py::make_tuple(workspace_bytes), "uint8", tensor);
        const auto address = [](const py::object& number) { return reinterpret_cast<void*>(number.cast<uintptr_t>()); };
        const cuda::Launch launch{device, address(torch_cuda.attr("current_stream")(device).attr("cuda_stream")),
                                  address(workspace.attr("data_ptr")())};
        const py::gil_scoped_release unlocked;
        run(launch);
    } catch (...) {
        scope.attr("__exit__")(py::none(), py::none(), py::none());
        throw;
    }
    scope.attr("__exit__")(py::none(), py::none(), py::none());
}

}  // namespace echoseg::bindings
