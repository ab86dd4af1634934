// What the dispatcher knows about one worker.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <vector>

#include "channel/link.hpp"
#include "os/large_buffer.hpp"
#include "pool/parcel.hpp"
#include "wire/frame.hpp"

namespace brood::engine {

struct Function;

// A task frame that was written to the worker and is not wholly answered.
struct Sent {
  Job* job = nullptr;  // null: nobody wants the answers any more
  Function* function = nullptr;
  std::uint64_t first = 0;  // index in the job of the first task
  std::uint32_t count = 0;
  std::uint32_t answered = 0;
  std::uint32_t attempt = 0;
  std::uint32_t item_bytes = 0;    // of a block frame; else 0
  std::uint32_t result_bytes = 0;  // and of each of its results
  float task_ns = 0;               // the estimate that stands in the worker's load
  std::uint64_t sequence = 0;      // of the first task
  std::uint64_t payload_at = 0;    // ring position
  std::uint64_t payload_bytes = 0;
  Parcel* parcel = nullptr;     // set: the payload streams, and is not to be found in the ring
  std::uint32_t reclaimed = 0;  // the last so many tasks were given to another worker
};

// A queue over a power-of-two array: pushed and popped once per frame, so it must not allocate.
class SentQueue {
 public:
  bool empty() const noexcept { return begin_ == end_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  Sent& front() noexcept { return at(begin_); }
  Sent& operator[](std::size_t i) noexcept { return at(begin_ + i); }
  void pop() noexcept { ++begin_; }
  // The next push() will not throw.
  void reserve_one() {
    if (size() == ring_.size()) grow();
  }
  void push(const Sent& sent) {
    reserve_one();
    at(end_++) = sent;
  }
  void clear() noexcept { begin_ = end_ = 0; }

 private:
  Sent& at(std::size_t i) noexcept { return ring_[i & (ring_.size() - 1)]; }
  void grow() {
    std::vector<Sent> larger(ring_.empty() ? 16 : 2 * ring_.size());
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = at(begin_ + i);
    ring_.swap(larger);
    begin_ = 0;
    end_ = count;
  }

  std::vector<Sent> ring_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct WorkerSlot {
  enum class Life : std::uint8_t { absent, alive, ending };
  enum class Lane : std::uint8_t { none, idle, hungry };

  unsigned slot = 0;
  std::uint64_t epoch = 0;
  Life life = Life::absent;
  Lane lane = Lane::none;
  bool in_busy = false;
  bool bell = false;  // frames were published since it was last woken
  pid_t pid = 0;
  std::unique_ptr<channel::DispatcherEnd> link;

  SentQueue sent;
  std::uint64_t next_sequence = 1;
  std::uint64_t answered = 0;          // sequence number of the last answered task
  double load_ns = 0;                  // estimated time of what it has not answered
  std::vector<std::uint32_t> defined;  // by function number: the generation it was told

  // Tasks from here on were revoked; it gets no new ones until it has said so of each of them.
  std::uint64_t revoked_from = channel::kNeverRevoked;
  std::uint64_t observed_taken = 0;  // the ledger when it was last looked at while others had nothing to do
  std::int64_t observed_at_ns = 0;

  // Frames that come before any task, and have not been written: the initializer's, at the end the finalizer's.
  struct Control {
    wire::FrameKind kind;
    Function* function;  // may be null
  };
  std::deque<Control> control;
  bool blocked = false;  // it has no task, and its ring has no room yet for the next one

  // A payload larger than the ring, on its way out.
  Parcel* outgoing = nullptr;
  bool outgoing_is_ours = false;  // a definition: no Sent holds the parcel
  std::size_t outgoing_piece = 0;
  std::size_t outgoing_offset = 0;
  std::size_t outgoing_padding = 0;

  // Values on their way in. Their record stays in the ring until the last of them is taken.
  bool in_values = false;
  std::uint64_t values_at = 0;     // ring position of the record
  std::uint64_t values_first = 0;  // sequence number of the first
  std::uint64_t values_most = 0;   // how many there can be

  // A result larger than the ring, on its way in.
  bool incoming = false;
  wire::Record incoming_record{};
  std::uint64_t incoming_left = 0;  // including padding
  std::uint64_t incoming_got = 0;
  os::LargeBuffer incoming_bytes;
  bool incoming_in_parts = false;  // the job takes it as it comes
  std::exception_ptr incoming_error;

  std::int64_t started_ns = 0;
  std::int64_t restart_at_ns = 0;  // absent: when to start the next one
  std::uint64_t seen_busy_ns = 0;
  std::uint64_t seen_timed_tasks = 0;
  std::uint64_t wake_at = 0;
  bool unfenced = false;  // it may be at a task of a batch frame
  bool coarse = false;    // its answers are wanted as a batch: at wake_at, or when it has nothing more to do

  // For stats(), over all its processes.
  std::uint64_t tasks = 0;
  std::uint64_t busy_ns = 0;  // of processes that have ended
  std::uint64_t restarts = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  long max_rss_kib = 0;

  std::uint64_t outstanding() const noexcept { return next_sequence - 1 - answered; }
  std::uint64_t total_busy_ns() const noexcept {
    return busy_ns + (link ? link->words().busy_ns.load(std::memory_order_relaxed) : 0);
  }
};

}  // namespace brood::engine
