#include "bindings.hpp"

namespace echoseg::bindings {

void register_device(py::module_& m) {
    m.def("cuda_built", &cuda::built);
    m.def("cuda_devices", &cuda::device_names, Unlocked(),
          "Names of the CUDA devices; empty without a driver or device.");
    py::class_<Execution>(m, "Execution")
        .def(py::init([](int threads, int device, Address stream, Address workspace) {
                 return Execution{threads, {device, pointer<void>(stream), pointer<void>(workspace)}};
             }),
             py::arg("threads"), py::arg("device") = -1, py::arg("stream") = 0, py::arg("workspace") = 0);
}

}  // namespace echoseg::bindings
