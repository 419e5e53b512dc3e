// Writes past the caches. Included by levels that define stream_zero_line and stream_line, for 64 bytes aligned to 64.

// Number of bytes before the first whole cache line. Only whole cache lines are streamed.
inline int64_t head_of(const uint8_t* at, int64_t bytes) {
    const int64_t head = (64 - static_cast<int64_t>(reinterpret_cast<uintptr_t>(at) % 64)) % 64;
    return head < bytes ? head : bytes;
}

void stream_zeros(void* out, int64_t bytes) {
    auto* at = static_cast<uint8_t*>(out);
    const uint8_t* end = at + bytes;
    const int64_t head = head_of(at, bytes);
    memset(at, 0, static_cast<size_t>(head));
    for (at += head; end - at >= 64; at += 64) stream_zero_line(at);
    memset(at, 0, static_cast<size_t>(end - at));
}

void stream_copy(const void* from, int64_t bytes, void* out) {
    const auto* source = static_cast<const uint8_t*>(from);
    auto* at = static_cast<uint8_t*>(out);
    const uint8_t* end = at + bytes;
    const int64_t head = head_of(at, bytes);
    memcpy(at, source, static_cast<size_t>(head));
    source += head;
    for (at += head; end - at >= 64; at += 64, source += 64) stream_line(source, at);
    memcpy(at, source, static_cast<size_t>(end - at));
}

void stream_end() { _mm_sfence(); }
