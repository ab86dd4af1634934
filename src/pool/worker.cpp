#include "pool/worker.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "os/clock.hpp"
#include "os/fork.hpp"
#include "os/large_buffer.hpp"
#include "os/output.hpp"
#include "pool/known.hpp"
#include "pool/results.hpp"
#include "wire/exception.hpp"
#include "wire/frame.hpp"

namespace brood::engine {
namespace {

constexpr std::size_t kHeaderBytes = sizeof(wire::FrameHeader);
constexpr std::int64_t kFirstSpinNs = 20'000;
constexpr std::int64_t kShortestSpinNs = 2'000;
// Of the calls that do not wait. Each look takes the cache line away from the one who writes the next task there:
// taking several at a time is faster for both.
constexpr int kPatience = 128;
// Tasks faster than this are timed in groups: reading the clock takes a good part of their time.
constexpr double kFastTaskNs = 500;
constexpr unsigned kTimedTogether = 16;

// An initializer's or finalizer's result, which nobody wants.
struct NoAnswer final : wire::Answer {
  wire::Writer writer;
  wire::Writer& begin() override { return writer; }
  void commit() override {}
};

class Worker final : private wire::Source {
 public:
  Worker(channel::WorkerEnd& link, channel::PoolPage& page, os::Event& doorbell)
      : side_(link, page, doorbell), link_(link) {}

  int run() {
    for (;;) {
      wire::FrameHeader header{};
      const auto window = wait_for_frame();
      std::memcpy(&header, window.data(), sizeof header);
      link_.tasks.consume(kHeaderBytes);
      patient_ = header.kind() == wire::FrameKind::posted;
      switch (header.kind()) {
        case wire::FrameKind::define:
          define(header);
          break;
        case wire::FrameKind::init:
          if (!initialize(header.function)) return 1;
          begun_ns_ = os::now_ns();
          break;
        case wire::FrameKind::stop:
          finalize(header.function);
          return 0;
        case wire::FrameKind::task:
        case wire::FrameKind::posted:
        case wire::FrameKind::batch:
          run_frame(header, window.subspan(kHeaderBytes));
          break;
        case wire::FrameKind::block:
          run_block(header, window.data() + kHeaderBytes);
          break;
      }
      link_.tasks.release();
      if (side_.words().wants_space.load(std::memory_order_relaxed) != 0) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        side_.ring(true);
      }
    }
  }

 private:
  // --- frames -----------------------------------------------------------------------------------------------------

  std::span<const std::byte> wait_for_frame() {
    if (const auto window = link_.tasks.window(); !window.empty()) return window;
    stamp();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    side_.ring(true);
    while (!link_.tasks.ready()) {
      if (spin_for_frame()) break;
      side_.sleep_for_tasks();
    }
    begun_ns_ = os::now_ns();
    if (spin_ns_ == 0 && side_.sequence() > 0) spin_ns_ = kFirstSpinNs;
    return link_.tasks.window();
  }

  // Between tasks: as long as it has paid lately.
  bool spin_for_frame() {
    const int pauses = patient_ ? kPatience : 1;
    const bool came = spin_ns_ > 0 && side_.spin(
                                          spin_ns_, [&] { return link_.tasks.ready(); }, pauses);
    spin_ns_ = came            ? std::min(2 * spin_ns_, WorkerSide::kLongestSpinNs)
               : spin_ns_ == 0 ? 0
                               : std::max(spin_ns_ / 2, kShortestSpinNs);
    return came;
  }

  // Read as it comes: the definition may be larger than the ring.
  void define(const wire::FrameHeader& header) {
    std::vector<std::byte> definition;
    unread_ = header.length();
    given_ = 0;
    while (unread_ > 0) {
      const auto some = next();
      definition.insert(definition.end(), some.begin(), some.end());
    }
    end_stream(header);
    function(header.function) = Known(std::move(definition));
  }

  // Steps over what was not read of a streamed frame, and its padding.
  void end_stream(const wire::FrameHeader& header) {
    while (unread_ > 0) next();
    unread_ = wire::padded(header.length()) - header.length();
    while (unread_ > 0) next();
    link_.tasks.consume(std::exchange(given_, 0));
  }

  Known& function(std::uint32_t number) {
    if (functions_.size() <= number) functions_.resize(number + 16);
    return functions_[number];
  }

  void run_frame(const wire::FrameHeader& header, std::span<const std::byte> window) {
    Known& callable = function(header.function);
    const std::size_t whole = static_cast<std::size_t>(wire::padded(header.length()));
    if (kHeaderBytes + whole > link_.tasks.capacity() / 2) return run_streamed(callable, header);
    const std::byte* at = window.data();
    const std::byte* const end = at + header.length();
    const bool fence =
        !side_.membarrier() || header.kind() == wire::FrameKind::task || header.kind() == wire::FrameKind::posted;
    for (std::uint32_t i = 0; i < header.count; ++i) {
      std::uint32_t length = 0;
      std::memcpy(&length, at, sizeof length);
      at += sizeof length;
      if (length == wire::kRestOfFrame) length = static_cast<std::uint32_t>(end - at);
      if (!side_.take(fence)) {
        results_.decline(header.count - i);
        break;
      }
      run_task(callable, wire::Reader(std::span(at, length)));
      at += length;
    }
    end_frame(header);
  }

  void end_frame(const wire::FrameHeader& header) {
    link_.tasks.consume(static_cast<std::size_t>(wire::padded(header.length())));
    untimed_ += header.count;
    if (header.count > 1 || untimed_ >= kTimedTogether || task_ns_ > kFastTaskNs) stamp();
  }

  // Items of one size. The first task opens the function, and so goes the common way.
  void run_block(const wire::FrameHeader& header, const std::byte* at) {
    Known& callable = function(header.function);
    const std::size_t size = static_cast<std::size_t>(header.length() / header.count);
    for (std::uint32_t left = header.count; left > 0;) {
      if (callable.made()) {
        const std::uint32_t done = run_values(callable, at, left);
        at += done * size;
        left -= done;
        continue;
      }
      if (!side_.take(!side_.membarrier())) {
        results_.decline(left);
        break;
      }
      run_task(callable, wire::Reader(std::span(at, size)));
      at += size;
      --left;
    }
    end_frame(header);
  }

  // Runs tasks until there are no more, one throws or the rest was revoked: how many of them are answered. Each result
  // is published by itself, so that a task that kills the worker takes no other with it.
  std::uint32_t run_values(Known& callable, const std::byte* at, std::uint32_t most) {
    const std::size_t size = callable.record().argument_bytes;
    const std::size_t result_size = callable.record().result_bytes;
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(most, results_.room_for_values(result_size)));
    results_.begin_values(count, result_size);
    const bool fence = !side_.membarrier();
    std::uint32_t done = 0;
    std::exception_ptr error;
    try {
      for (; done < count && side_.take(fence); ++done, at += size) {
        callable.call_fixed(at, results_);
        os::flush_task_output();
        results_.publish_value(result_size);
      }
    } catch (...) {
      side_.leave_if_forked();
      error = std::current_exception();
    }
    results_.end_values(done);
    if (done == count) return done;
    if (!error) {
      results_.decline(most - done);
      return most;
    }
    results_.fail(error);
    os::flush_task_output();
    return done + 1;
  }

  // A single task whose arguments do not fit the ring: they are read as they come.
  void run_streamed(Known& callable, const wire::FrameHeader& header) {
    unread_ = header.length();
    given_ = 0;
    if (side_.take(true)) {
      try {
        std::uint32_t rest = 0;
        wire::Reader reader({}, header.length(), *this);
        reader.read(&rest, sizeof rest);
        run_task(callable, reader);
      } catch (const ArchiveError&) {
        // run_task answers for everything that can be wrong with the arguments.
      }
    } else {
      results_.decline(header.count);
    }
    end_stream(header);
    ++untimed_;
    stamp();
  }

  // Source: the next bytes of a streamed frame. The previous ones may be overwritten from now on.
  std::span<const std::byte> next() override {
    link_.tasks.consume(given_);
    link_.tasks.release();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (side_.words().wants_space.load(std::memory_order_relaxed) != 0) side_.ring(true);
    while (!link_.tasks.ready()) {
      if (side_.spin(WorkerSide::kLongestSpinNs, [&] { return link_.tasks.ready(); })) break;
      side_.sleep_for_tasks();
    }
    const auto window = link_.tasks.window();
    given_ = static_cast<std::size_t>(std::min<std::uint64_t>(window.size(), unread_));
    unread_ -= given_;
    return window.first(given_);
  }

  // --- tasks ------------------------------------------------------------------------------------------------------

  void run_task(Known& callable, wire::Reader args) {
    results_.expect_value();
    try {
      callable.call(args, results_);
    } catch (...) {
      results_.fail(std::current_exception());
    }
    os::flush_task_output();
  }

  bool initialize(std::uint32_t number) {
    if (number != 0) {
      try {
        wire::Reader nothing(std::span<const std::byte>{});
        NoAnswer no_answer;
        function(number).call(nothing, no_answer);
      } catch (...) {
        results_.fail(std::current_exception(), wire::RecordStatus::init_failed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        side_.ring(true);
        return false;
      }
      side_.leave_if_forked();
      os::flush_task_output();
    }
    side_.words().state.store(channel::WorkerState::ready, std::memory_order_release);
    return true;
  }

  void finalize(std::uint32_t number) {
    side_.words().state.store(channel::WorkerState::stopping, std::memory_order_release);
    if (number == 0) return;
    try {
      wire::Reader nothing(std::span<const std::byte>{});
      NoAnswer no_answer;
      function(number).call(nothing, no_answer);
    } catch (...) {
      os::write_line_to_stderr("brood: the pool's finalizer failed: " + wire::exception_text(std::current_exception()));
    }
  }

  // --- time -------------------------------------------------------------------------------------------------------

  void stamp() noexcept {
    if (untimed_ == 0) return;
    const std::int64_t now_ns = os::now_ns();
    busy_ns_ += static_cast<std::uint64_t>(now_ns - begun_ns_);
    task_ns_ = static_cast<double>(now_ns - begun_ns_) / untimed_;
    timed_tasks_ += untimed_;
    untimed_ = 0;
    begun_ns_ = now_ns;
    side_.words().busy_ns.store(busy_ns_, std::memory_order_relaxed);
    side_.words().timed_tasks.store(timed_tasks_, std::memory_order_release);
  }

  WorkerSide side_;
  channel::WorkerEnd& link_;
  Results results_{side_};
  std::vector<Known> functions_;
  bool patient_ = false;
  std::int64_t spin_ns_ = 0;  // until the first task: a pool that was only made uses no CPU

  std::uint64_t unread_ = 0;  // streamed frame: bytes that have not been given to the reader
  std::size_t given_ = 0;     // and those it has now

  std::int64_t begun_ns_ = os::now_ns();
  std::uint64_t busy_ns_ = 0;
  std::uint64_t timed_tasks_ = 0;
  unsigned untimed_ = 0;
  double task_ns_ = 0;
};

}  // namespace

int serve(channel::WorkerEnd& link, channel::PoolPage& page, os::Event& doorbell) {
  wire::set_large_advice(&os::advise_huge_pages);
  return Worker(link, page, doorbell).run();
}

}  // namespace brood::engine
