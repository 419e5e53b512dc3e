// Marks functions that are compiled for the host and, by nvcc, for the device.
#pragma once

#if defined(__CUDACC__)
#define ECHOSEG_HD __host__ __device__
#else
#define ECHOSEG_HD
#endif
