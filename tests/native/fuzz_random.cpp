// Runs a libFuzzer target on random bytes, for builds without libFuzzer: [-runs=N] [-seed=N].
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t count);

int main(int argc, char** argv) {
    long long runs = 20000, seed = 1;
    for (int i = 1; i < argc; ++i) {
        if (std::strncmp(argv[i], "-runs=", 6) == 0) runs = std::atoll(argv[i] + 6);
        if (std::strncmp(argv[i], "-seed=", 6) == 0) seed = std::atoll(argv[i] + 6);
    }
    std::mt19937_64 generator(static_cast<uint64_t>(seed));
    for (long long run = 0; run < runs; ++run) {
        std::vector<uint8_t> bytes(generator() % 200);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%lld runs, seed %lld: passed\n", runs, seed);
}
