// A ring and its two ends in the memory of one process.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "channel/ring.hpp"
#include "os/memory.hpp"

namespace brood::channel::testing {

struct TestRing {
  explicit TestRing(std::size_t capacity, std::uint64_t begin = 0)
      : memory(os::Mapping::mirrored(os::make_memfd("test-ring", capacity).get(), 0, capacity, os::Access::read_write)),
        writer(memory.data(), capacity, tail, head),
        reader(memory.data(), capacity, head, tail) {
    while (writer.position() < begin) move(std::min<std::uint64_t>(begin - writer.position(), capacity));
  }

  // Writes and reads so many bytes, to come to another offset.
  void move(std::uint64_t bytes) {
    writer.window(static_cast<std::size_t>(bytes));
    writer.publish(static_cast<std::size_t>(bytes));
    reader.window();
    reader.consume(static_cast<std::size_t>(bytes));
    reader.release();
  }

  alignas(64) std::atomic<std::uint64_t> tail{0};
  alignas(64) std::atomic<std::uint64_t> head{0};
  os::Mapping memory;
  RingWriter writer;
  RingReader reader;
};

// Bytes that depend on their position in the stream, so that one which is lost, doubled or misplaced is seen.
inline std::byte byte_at(std::uint64_t position) noexcept {
  return static_cast<std::byte>((position * 0x9E37'79B9'7F4A'7C15U) >> 56U);
}

inline void fill(std::span<std::byte> bytes, std::uint64_t position) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(position + i);
}

// How many bytes are what they should be, from the start.
inline std::size_t right_bytes(std::span<const std::byte> bytes, std::uint64_t position) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != byte_at(position + i)) return i;
  }
  return bytes.size();
}

}  // namespace brood::channel::testing
