// The frames that a dispatcher and a worker exchange, as they stand in the rings.
//
// Task ring:    FrameHeader, payload, padding to 8 bytes. The payload of a task frame is `count` items, each a 32-bit
//               length and that many bytes of arguments; kRestOfFrame as length: the item is the rest of the frame.
//               The payload of a block frame is `count` items of the same length, side by side.
// Result ring:  one 64-bit record word (status, low bits of the sequence number, payload length), payload, padding.
//               Records come in the order in which the tasks were taken, so they need not name them.
#pragma once

#include <cstdint>

namespace brood::wire {

enum class FrameKind : std::uint8_t {
  task = 1,    // run `function` on each item
  define = 2,  // `function` is from now on the callable in the payload
  init = 3,    // run `function` (0: nothing) once, then the worker is ready
  stop = 4,    // run `function` (0: nothing) as finalizer, then exit
  batch = 5,   // as task, but the answers are wanted together: the worker takes its tasks without a barrier each, and
               // the dispatcher makes up for it with a membarrier when it needs to be sure
  block = 6,   // as batch, for a function whose arguments and results always have the same sizes
  posted = 7,  // as task, of a call that does not wait: the next one may follow at once
};

struct FrameHeader {
  std::uint64_t kind_and_length;  // kind in the highest byte
  std::uint32_t function;
  std::uint32_t count;

  FrameKind kind() const noexcept { return static_cast<FrameKind>(kind_and_length >> 56U); }
  std::uint64_t length() const noexcept { return kind_and_length & 0x00FF'FFFF'FFFF'FFFFU; }
};

constexpr FrameHeader make_frame_header(FrameKind kind, std::uint32_t function, std::uint32_t count,
                                        std::uint64_t length) noexcept {
  return {(static_cast<std::uint64_t>(kind) << 56U) | length, function, count};
}

constexpr std::uint32_t kRestOfFrame = 0xFFFF'FFFFU;

enum class RecordStatus : std::uint8_t {
  value = 1,        // payload: the result
  error = 2,        // payload: an exception in transit
  declined = 3,     // no payload; `length` tasks were revoked before they were taken
  init_failed = 4,  // payload: the exception that left the initializer; the worker ends
  values = 5,       // `length` results of a block frame follow side by side, each published when its task is done; the
                    // worker makes the number smaller before it publishes something else instead
};

struct Record {
  RecordStatus status;
  std::uint16_t sequence;  // low bits of the task's sequence number: a check, not an address
  std::uint64_t length;
};

constexpr std::uint64_t kMaxRecordLength = (std::uint64_t{1} << 40U) - 1;

constexpr std::uint64_t pack_record(RecordStatus status, std::uint64_t sequence, std::uint64_t length) noexcept {
  return (static_cast<std::uint64_t>(status) << 56U) | ((sequence & 0xFFFFU) << 40U) | length;
}

constexpr Record unpack_record(std::uint64_t word) noexcept {
  return {static_cast<RecordStatus>(word >> 56U), static_cast<std::uint16_t>(word >> 40U), word & kMaxRecordLength};
}

// Frames and records begin at multiples of 8 bytes.
constexpr std::uint64_t padded(std::uint64_t length) noexcept { return (length + 7U) & ~std::uint64_t{7}; }

}  // namespace brood::wire
