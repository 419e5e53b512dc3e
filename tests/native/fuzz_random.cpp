// Runs a libFuzzer target on random bytes, where libFuzzer is not at hand: [-runs=N] [-seed=N].
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t count);

int main(int count, char** words) {
    long long runs = 20000, seed = 1;
    for (int i = 1; i < count; ++i) {
        if (std::strncmp(words[i], "-runs=", 6) == 0) runs = std::atoll(words[i] + 6);
        if (std::strncmp(words[i], "-seed=", 6) == 0) seed = std::atoll(words[i] + 6);
    }
    std::mt19937_64 generator(static_cast<uint64_t>(seed));
    for (long long run = 0; run < runs; ++run) {
        std::vector<uint8_t> bytes(generator() % 200);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%lld runs, seed %lld, all right\n", runs, seed);
}
