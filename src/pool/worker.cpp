#include "pool/worker.hpp"

#include <brood/detail/function.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "os/clock.hpp"
#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "os/large_buffer.hpp"
#include "os/membarrier.hpp"
#include "os/output.hpp"
#include "pool/parcel.hpp"
#include "wire/exception.hpp"
#include "wire/frame.hpp"

namespace brood::engine {
namespace {

constexpr std::size_t kRecordBytes = sizeof(std::uint64_t);
constexpr std::size_t kHeaderBytes = sizeof(wire::FrameHeader);
constexpr std::int64_t kLongestSpinNs = 50'000;
constexpr std::int64_t kFirstSpinNs = 20'000;
constexpr std::int64_t kShortestSpinNs = 2'000;
// Below this much room an answer is not begun in the ring.
constexpr std::size_t kMinRoom = 256;
// Tasks faster than this are timed in groups: reading the clock takes a good part of their time.
constexpr double kFastTaskNs = 500;
constexpr unsigned kTimedTogether = 16;

// A callable that this worker was told of. It is made from its bytes by the first task that needs it, so that whatever
// its making does to the worker is that task's fate.
class Known {
 public:
  Known() = default;
  explicit Known(std::vector<std::byte> definition) : definition_(std::move(definition)), told_(true) {}
  Known(Known&& other) noexcept { swap(other); }
  Known& operator=(Known&& other) noexcept {
    Known(std::move(other)).swap(*this);
    return *this;
  }
  ~Known() {
    if (callable_ != nullptr) record_->close(callable_);
  }

  void call(wire::Reader& args, wire::Answer& answer) {
    if (callable_ == nullptr) make();
    record_->call(callable_, args, answer);
  }
  bool made() const noexcept { return callable_ != nullptr; }
  const wire::FunctionRecord& record() const noexcept { return *record_; }
  void call_fixed(const std::byte* args, std::byte* result) { record_->call_fixed(callable_, args, result); }

 private:
  void make() {
    if (!told_) throw ProcessError("a task names a function that was never sent");
    wire::Reader reader(definition_);
    const auto* const record = static_cast<const wire::FunctionRecord*>(wire::load_code(reader));
    if (wire::load<std::uint64_t>(reader) != record->signature) {
      throw ProcessError("the function at this place of the program has another signature: was it rebuilt?");
    }
    void* const callable = record->open(reader);
    try {
      reader.finish();
    } catch (...) {
      record->close(callable);
      throw;
    }
    record_ = record;
    callable_ = callable;
    definition_ = {};
  }
  void swap(Known& other) noexcept {
    std::swap(record_, other.record_);
    std::swap(callable_, other.callable_);
    definition_.swap(other.definition_);
    std::swap(told_, other.told_);
  }

  const wire::FunctionRecord* record_ = nullptr;
  void* callable_ = nullptr;
  std::vector<std::byte> definition_;
  bool told_ = false;
};

class Worker final : private wire::Answer, private wire::Source {
 public:
  Worker(channel::WorkerEnd& link, channel::PoolPage& page, os::Event& doorbell)
      : link_(link), page_(page), doorbell_(doorbell) {}

  int run() {
    for (;;) {
      wire::FrameHeader header{};
      const auto window = wait_for_frame();
      std::memcpy(&header, window.data(), sizeof header);
      link_.tasks.consume(kHeaderBytes);
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
        case wire::FrameKind::batch:
          run_frame(header, window.subspan(kHeaderBytes));
          break;
        case wire::FrameKind::block:
          run_block(header, window.data() + kHeaderBytes);
          break;
      }
      link_.tasks.release();
      if (words().wants_space.load(std::memory_order_relaxed) != 0) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        ring(true);
      }
    }
  }

 private:
  channel::Words& words() const noexcept { return link_.words(); }

  // --- frames -----------------------------------------------------------------------------------------------------

  std::span<const std::byte> wait_for_frame() {
    if (const auto window = link_.tasks.window(); !window.empty()) return window;
    stamp();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    ring(true);
    while (!link_.tasks.ready()) {
      if (spin_for_frame()) break;
      link_.sleep(channel::Sleep::for_tasks, link_.tasks.position(), [this] { ring(true); });
    }
    begun_ns_ = os::now_ns();
    if (spin_ns_ == 0 && sequence_ > 0) spin_ns_ = kFirstSpinNs;
    return link_.tasks.window();
  }

  // Waits a little without sleeping, if there is a core for it.
  template <class Ready>
  bool spin(std::int64_t for_ns, Ready ready) const {
    const channel::PoolWords& pool = page_.words();
    if (pool.busy_workers.load(std::memory_order_relaxed) >= pool.cpus.load(std::memory_order_relaxed)) return false;
    const std::int64_t until_ns = os::now_ns() + for_ns;
    do {
      for (int i = 0; i < 32; ++i) {
        if (ready()) return true;
        os::cpu_relax();
      }
    } while (os::now_ns() < until_ns);
    return false;
  }

  // Between tasks: as long as it has paid lately.
  bool spin_for_frame() {
    const bool came = spin_ns_ > 0 && spin(spin_ns_, [&] { return link_.tasks.ready(); });
    spin_ns_ = came            ? std::min(2 * spin_ns_, kLongestSpinNs)
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
    const bool fence = !membarrier_ || header.kind() == wire::FrameKind::task;
    for (std::uint32_t i = 0; i < header.count; ++i) {
      std::uint32_t length = 0;
      std::memcpy(&length, at, sizeof length);
      at += sizeof length;
      if (length == wire::kRestOfFrame) length = static_cast<std::uint32_t>(end - at);
      if (!take(fence)) {
        decline(header.count - i);
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
      if (!take(!membarrier_)) {
        decline(left);
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
    const std::size_t fit = (link_.results.capacity() / 8 - kRecordBytes) / result_size;
    const std::uint32_t count = static_cast<std::uint32_t>(std::min<std::size_t>(most, fit));
    const auto window = room(kRecordBytes + static_cast<std::size_t>(wire::padded(count * result_size)));
    const std::uint64_t first = sequence_ + 1;
    put_record(window, wire::RecordStatus::values, first, count);
    link_.results.publish(kRecordBytes);
    std::byte* to = window.data() + kRecordBytes;
    std::uint32_t done = 0;
    std::exception_ptr error;
    const bool fence = !membarrier_;
    try {
      for (; done < count && take(fence); ++done) {
        callable.call_fixed(at, to);
        leave_if_forked();
        os::flush_task_output();
        at += size;
        to += result_size;
        link_.results.publish(result_size);
      }
    } catch (...) {
      error = std::current_exception();
    }
    if (done < count) put_record(window, wire::RecordStatus::values, first, done);  // published with what follows
    const std::size_t padding = static_cast<std::size_t>(wire::padded(done * result_size)) - done * result_size;
    if (padding > 0) link_.results.publish(padding);
    if (done == count) return done;
    if (!error) {
      decline(most - done);
      return most;
    }
    leave_if_forked();
    status_ = wire::RecordStatus::error;
    wire::save_exception(begin(), error);
    commit();
    os::flush_task_output();
    return done + 1;
  }

  // A single task whose arguments do not fit the ring: they are read as they come.
  void run_streamed(Known& callable, const wire::FrameHeader& header) {
    unread_ = header.length();
    given_ = 0;
    if (take(true)) {
      try {
        std::uint32_t rest = 0;
        wire::Reader reader({}, header.length(), *this);
        reader.read(&rest, sizeof rest);
        run_task(callable, reader);
      } catch (const ArchiveError&) {
        // run_task answers for everything that can be wrong with the arguments.
      }
    } else {
      decline(header.count);
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
    if (words().wants_space.load(std::memory_order_relaxed) != 0) ring(true);
    while (!link_.tasks.ready()) {
      if (spin(kLongestSpinNs, [&] { return link_.tasks.ready(); })) break;
      link_.sleep(channel::Sleep::for_tasks, link_.tasks.position(), [this] { ring(true); });
    }
    const auto window = link_.tasks.window();
    given_ = static_cast<std::size_t>(std::min<std::uint64_t>(window.size(), unread_));
    unread_ -= given_;
    return window.first(given_);
  }

  // --- tasks ------------------------------------------------------------------------------------------------------

  // Claims the next task. False: it was revoked before. The order of the two accesses is the protocol: the dispatcher
  // writes `revoke_from` first and reads `taken` second, and one of the sides has a barrier between them: the worker
  // here, or, for the tasks of a batch, the dispatcher on behalf of both.
  bool take(bool fence) {
    ++sequence_;
    words().taken.store(sequence_, std::memory_order_release);
    if (fence) {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ring(false);
    return sequence_ < words().revoke_from.load(std::memory_order_relaxed);
  }

  void run_task(Known& callable, wire::Reader args) {
    status_ = wire::RecordStatus::value;
    try {
      callable.call(args, *this);
    } catch (...) {
      leave_if_forked();
      status_ = wire::RecordStatus::error;
      wire::save_exception(begin(), std::current_exception());
      commit();
    }
    os::flush_task_output();
  }

  void decline(std::uint32_t count) {
    sequence_ += count - 1;
    const auto window = room(kRecordBytes);
    put_record(window, wire::RecordStatus::declined, sequence_ - count + 1, count);
    link_.results.publish(kRecordBytes);
  }

  bool initialize(std::uint32_t number) {
    if (number != 0) {
      try {
        wire::Reader nothing(std::span<const std::byte>{});
        NoAnswer no_answer;
        function(number).call(nothing, no_answer);
      } catch (...) {
        status_ = wire::RecordStatus::init_failed;
        wire::save_exception(begin(), std::current_exception());
        commit();
        std::atomic_thread_fence(std::memory_order_seq_cst);
        ring(true);
        return false;
      }
      leave_if_forked();
      os::flush_task_output();
    }
    words().state.store(channel::WorkerState::ready, std::memory_order_release);
    return true;
  }

  void finalize(std::uint32_t number) {
    words().state.store(channel::WorkerState::stopping, std::memory_order_release);
    if (number == 0) return;
    try {
      wire::Reader nothing(std::span<const std::byte>{});
      NoAnswer no_answer;
      function(number).call(nothing, no_answer);
    } catch (...) {
      wire::Writer writer;
      wire::save_exception(writer, std::current_exception());
      const std::string bytes = writer.take_string();
      wire::Reader reader(std::as_bytes(std::span(bytes)));
      try {
        std::rethrow_exception(wire::load_exception(reader, os::process_id(), 0));
      } catch (const RemoteError& error) {
        os::write_line_to_stderr("brood: the pool's finalizer failed: " + error.type_name() + ": " + error.message());
      }
    }
  }

  // A task forked and its child came back here. The child has nothing to answer and must not touch the rings.
  void leave_if_forked() const {
    if (os::fork_generation() != generation_) os::exit_process(0);
  }

  // --- answers ----------------------------------------------------------------------------------------------------

  struct NoAnswer final : wire::Answer {
    wire::Writer writer;
    wire::Writer& begin() override { return writer; }
    void commit() override {}
  };

  std::span<std::byte> room(std::size_t wanted) {
    for (;;) {
      const auto window = link_.results.window(wanted);
      if (window.size() >= wanted) return window;
      if (link_.results.damaged()) throw ArchiveError("the result ring's reader is not within what was written");
      std::atomic_thread_fence(std::memory_order_seq_cst);
      ring(true);
      if (spin(kLongestSpinNs, [&] { return link_.results.window(wanted).size() >= wanted; })) continue;
      const std::uint64_t seen = words().result_head.load(std::memory_order_acquire);
      if (link_.results.window(wanted).size() >= wanted) continue;
      link_.sleep(channel::Sleep::for_space, seen, [this] { ring(true); });
    }
  }

  static void put_record(std::span<std::byte> window, wire::RecordStatus status, std::uint64_t sequence,
                         std::uint64_t length) {
    // In one piece: that of values is corrected while the dispatcher may look at it.
    auto& word = *reinterpret_cast<std::uint64_t*>(window.data());
    std::atomic_ref(word).store(wire::pack_record(status, sequence, length), std::memory_order_relaxed);
  }

  wire::Writer& begin() override {
    leave_if_forked();
    window_ = room(kMinRoom);
    window_ = window_.first(window_.size() & ~std::size_t{7});
    writer_.reset(window_.subspan(kRecordBytes));
    writer_.allow_references(true);  // the value lives until commit() returns
    return writer_;
  }

  void commit() override {
    const std::uint64_t length = writer_.size();
    if (length > wire::kMaxRecordLength) throw ArchiveError("a result of more than 1 TiB");
    if (!writer_.in_window()) return commit_large(length);
    put_record(window_, status_, sequence_, length);
    link_.results.publish(kRecordBytes + static_cast<std::size_t>(wire::padded(length)));
  }

  void commit_large(std::uint64_t length) {
    Parcel parcel;
    parcel.take(std::move(writer_), window_);
    writer_ = wire::Writer();
    const std::size_t whole = kRecordBytes + static_cast<std::size_t>(wire::padded(length));
    const std::size_t capacity = link_.results.capacity();
    if (length <= capacity / 2) {  // published at once: the dispatcher expects records of this size to be whole
      const auto window = room(whole);
      put_record(window, status_, sequence_, length);
      std::byte* to = window.data() + kRecordBytes;
      for (std::size_t i = 0; i < parcel.pieces(); ++i) {
        to = std::copy(parcel.piece(i).begin(), parcel.piece(i).end(), to);
      }
      return link_.results.publish(whole);
    }
    put_record(room(kRecordBytes), status_, sequence_, length);
    link_.results.publish(kRecordBytes);
    for (std::size_t i = 0; i < parcel.pieces(); ++i) {
      for (auto piece = parcel.piece(i); !piece.empty();) {
        const auto window = room(std::min(piece.size(), capacity / 8));
        const std::size_t count = std::min({piece.size(), window.size(), capacity / 4});
        std::memcpy(window.data(), piece.data(), count);
        link_.results.publish(count);
        piece = piece.subspan(count);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        ring(true);
      }
    }
    const std::size_t padding = whole - kRecordBytes - static_cast<std::size_t>(length);
    if (padding > 0) {
      room(padding);
      link_.results.publish(padding);
    }
  }

  // Rings the dispatcher's bell if it sleeps: always when `now`, else once the answer it waits for is committed. The
  // caller has passed a full fence since its last store.
  void ring(bool now) noexcept {
    const std::uint32_t epoch = page_.words().sleep_epoch.load(std::memory_order_acquire);
    if (epoch == 0 || epoch == rung_) return;
    if (!now && sequence_ - 1 < words().wake_at.load(std::memory_order_relaxed)) return;
    rung_ = epoch;
    doorbell_.set();
  }

  void stamp() noexcept {
    if (untimed_ == 0) return;
    const std::int64_t now_ns = os::now_ns();
    busy_ns_ += static_cast<std::uint64_t>(now_ns - begun_ns_);
    task_ns_ = static_cast<double>(now_ns - begun_ns_) / untimed_;
    timed_tasks_ += untimed_;
    untimed_ = 0;
    begun_ns_ = now_ns;
    words().busy_ns.store(busy_ns_, std::memory_order_relaxed);
    words().timed_tasks.store(timed_tasks_, std::memory_order_release);
  }

  channel::WorkerEnd& link_;
  channel::PoolPage& page_;
  os::Event& doorbell_;
  const std::uint64_t generation_ = os::fork_generation();
  const bool membarrier_ = os::register_membarrier();
  std::vector<Known> functions_;
  std::uint64_t sequence_ = 0;
  std::uint32_t rung_ = 0;
  std::int64_t spin_ns_ = 0;  // until the first task: a pool that was only made uses no CPU

  wire::Writer writer_;
  std::span<std::byte> window_;
  wire::RecordStatus status_ = wire::RecordStatus::value;

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
