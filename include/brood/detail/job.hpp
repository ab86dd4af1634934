// A job: one call of a pool's verb, as the engine sees it. The engine moves its bytes; the verb's template supplies the
// few functions that know the types.
#pragma once

#include <brood/archive.hpp>
#include <brood/detail/atomic.hpp>
#include <brood/detail/function.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>

namespace brood {
class Progress;
namespace engine {
class Engine;
struct Function;
class Parcel;
}  // namespace engine

namespace detail {

// Lays out items in one task frame: for each a 32-bit length, then its bytes. An item too large for the frame is left
// to a frame of its own. Items that all have `item_bytes` stand side by side without lengths.
class FrameWriter {
 public:
  FrameWriter(wire::Writer& writer, std::size_t most_items, std::size_t most_bytes, std::size_t item_bytes = 0) noexcept
      : writer_(&writer), most_items_(most_items), most_bytes_(most_bytes), item_bytes_(item_bytes) {
    if (item_bytes > 0 && most_items > most_bytes / item_bytes) most_items_ = most_bytes / item_bytes;
  }

  std::size_t item_bytes() const noexcept { return item_bytes_; }
  std::size_t most_items() const noexcept { return most_items_; }
  // Room for so many items without lengths, to be filled with their encodings. They count as written.
  std::byte* extend(std::size_t items) {
    count_ += items;
    bytes_ += items * item_bytes_;
    return writer_->extend(items * item_bytes_);
  }

  bool wants_more() const noexcept { return count_ < most_items_ && bytes_ < most_bytes_ && !closed_; }
  std::size_t count() const noexcept { return count_; }
  std::size_t bytes() const noexcept { return bytes_; }
  // The frame holds a single item that did not fit the window: the writer's pieces are its payload.
  bool oversized() const noexcept { return oversized_; }

  // `stable`: what is written now outlives the job, so that large arrays may be sent from where they are.
  wire::Writer& begin(bool stable = false) {
    writer_->allow_references(stable && count_ == 0);
    const std::uint32_t rest = kRest;  // stays so for an item that is alone in its frame and too large
    writer_->write(&rest, sizeof rest);
    return *writer_;
  }
  // False: the item was dropped again, because it belongs in the next frame.
  bool end() {
    if (!writer_->in_window()) {
      closed_ = true;
      if (count_ > 0) return false;
      oversized_ = true;
    } else {
      const std::uint32_t length = static_cast<std::uint32_t>(writer_->size() - bytes_ - sizeof(std::uint32_t));
      std::memcpy(writer_->position() - length - sizeof length, &length, sizeof length);
    }
    bytes_ = static_cast<std::size_t>(writer_->size());
    ++count_;
    return true;
  }

 private:
  static constexpr std::uint32_t kRest = 0xFFFF'FFFFU;
  wire::Writer* writer_;
  std::size_t most_items_, most_bytes_, item_bytes_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  bool oversized_ = false;
  bool closed_ = false;
};

class Job;

// An input that is itself a stream of results: its job, and how many elements can be read without waiting.
struct Upstream {
  Job* job = nullptr;
  std::uint64_t ready = 0;
};

// A stream that must hand out its results in order, and waits for one that is late: each of the others that is there
// already makes room for one more task, so that no worker is idle meanwhile. As long as not too much waits.
struct Stretch {
  static constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 20U;

  std::uint64_t limit(std::uint64_t window_end, std::uint64_t completed) const noexcept {
    if (!on || bytes_in.load(Order::relaxed) - bytes_out.load(Order::relaxed) > kMostBytes) return window_end;
    const std::uint64_t stretched = window_end + (completed - begin);
    return stretched < end ? stretched : end;
  }

  // Written by the waiting thread.
  bool on = false;
  std::uint64_t begin = 0;             // results consumed
  std::uint64_t end = 0;               // tasks from here on have no place for their results
  Atomic<std::uint64_t> bytes_out{0};  // of results that were consumed
  // Written by whoever drives the engine.
  Atomic<std::uint64_t> bytes_in{0};  // of results that have come
};

class Job {
 public:
  struct Ops {
    // Writes the next tasks' arguments into the frame. Called only in the thread that waits for the job.
    void (*fill)(Job&, FrameWriter&);
    // Takes the result of a task; what it throws becomes the task's error. Called in whichever thread does the pool's
    // work, one at a time.
    void (*value)(Job&, std::uint64_t index, wire::Reader&);
    // Takes the error of a task. Likewise; must not throw.
    void (*error)(Job&, std::uint64_t index, std::exception_ptr);
    // Whether the waiting call may return. Called in the thread that waits.
    bool (*satisfied)(Job&);
    // Called once, when the last reference to a job on the heap goes; null for a job on the caller's stack.
    void (*destroy)(Job*) noexcept;
    // Called in the service thread once the job is done; null: not wanted.
    void (*finished)(Job&);
    // Takes the results of `count` tasks that stand side by side, each as long as the function's record says: how many
    // it took before one that value() is to deal with. Null: items and results are not written in this way.
    std::size_t (*values)(Job&, std::uint64_t first, const std::byte* bytes, std::size_t count) noexcept = nullptr;
    // Called in the thread that waits. Null: the input is no stream of results.
    Upstream (*upstream)(Job&) = nullptr;
    // Takes the bytes from `offset` on of a task's large result, of `total`; the last of them complete the value. What
    // it throws becomes the task's error; then and when the worker dies there are no more. Null: value() gets them at
    // once.
    void (*part)(Job&, std::uint64_t offset, std::uint64_t total, std::span<const std::byte> bytes) = nullptr;
  };

  // How many tasks may be written now.
  std::uint64_t room() const noexcept {
    const std::uint64_t end =
        stretch == nullptr ? window_end : stretch->limit(window_end, completed.load(Order::relaxed));
    return end > next_index ? end - next_index : 0;
  }

  Job(const Ops& how, const wire::FunctionRef& f) noexcept : ops(&how), function(f) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // The size of every item, when it always is the same; else 0.
  std::size_t item_bytes() const noexcept { return ops->values == nullptr ? 0 : function.record->argument_bytes; }

  // Constant once the job runs.
  const Ops* ops;
  wire::FunctionRef function;
  std::uint64_t chunksize = 0;  // 0: measured
  std::uint32_t retries = 0;
  std::uint64_t total = 0;  // tasks in the input, when known
  bool total_known = false;
  bool stop_on_error = false;  // an error ends the feeding: the call throws the first error by index
  bool each = true;            // the waiting call wants every answer at once, not only the last
  bool apart = false;          // reading the input may wait, or use the pool: not while the engine is at work
  Progress* progress = nullptr;

  // Written by the waiting thread.
  std::uint64_t next_index = 0;                  // tasks written so far
  std::uint64_t window_end = ~std::uint64_t{0};  // tasks from this index on may not be written yet
  const Stretch* stretch = nullptr;              // unless this makes more room
  bool input_done = false;
  std::exception_ptr input_error;  // what the input threw
  std::uint64_t pace = 1;          // apart: how many elements come quickly

  // Owned by the engine.
  engine::Engine* engine = nullptr;
  engine::Function* known = nullptr;
  bool closed = false;                            // the engine has all of the input
  bool counted = false;                           // among the jobs that the service thread looks after
  std::uint64_t accepted = 0;                     // tasks that the engine has
  std::uint64_t answered = 0;                     // of those, how many have an answer
  std::uint64_t error_bound = ~std::uint64_t{0};  // stop_on_error: the lowest index that failed
  Atomic<std::uint32_t> posted{0};                // parcels written while another thread drove, that no worker has yet
  Atomic<bool> stopped{false};                    // a task failed and stop_on_error is set
  std::exception_ptr withdrawn;                   // set: the error of tasks that have not begun
  Atomic<std::uint64_t> completed{0};
  Atomic<double> task_ns{0};         // measured; 0: not yet
  Atomic<bool> done{false};          // the input has ended and every task is answered
  Atomic<bool> wants_finish{false};  // finished() shall be called
  Atomic<int> references{1};
  Job* next_due = nullptr;  // guarded by the engine: in its list of jobs whose finished() is due
  bool due = false;         // likewise
};

}  // namespace detail
}  // namespace brood
