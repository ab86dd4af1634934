// The results of imap and imap_unordered.
#pragma once

#include <brood/detail/async_result.hpp>
#include <brood/detail/atomic.hpp>
#include <brood/detail/durations.hpp>
#include <brood/detail/iterators.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace brood {

namespace detail {

// The stream's slots are a ring over the window: a task's place is its index, or, unordered, its turn of arrival.
template <class R>
class StreamJob : public Job {
 public:
  using Value = value_or_nothing<R>;

  struct Slot {
    Atomic<bool> filled{false};
    std::uint64_t bytes = 0;  // as it came
    std::optional<Value> value;
    std::exception_ptr error;
  };

  StreamJob(const Ops& how, const wire::FunctionRef& f, bool ordered, std::size_t most)
      : Job(how, f), ordered_(ordered), slots_(most) {
    stretch = &stretch_;
  }

  std::size_t capacity() const noexcept { return slots_.size(); }
  // How many results, at most so many, are there one after the other. The end that is known counts as one.
  std::uint64_t ready(std::uint64_t most) const noexcept {
    std::uint64_t count = 0;
    while (count < most && count < slots_.size() && slot(consumed_ + count).filled.load(Order::acquire)) {
      ++count;
    }
    return count == 0 && done.load(Order::acquire) ? 1 : count;
  }
  // How many tasks may be written ahead of what was consumed. `stretches`: more while the next result is late.
  void set_window(std::uint64_t window, bool stretches) noexcept {
    window_end = consumed_ + window;
    stretch_.on = stretches && ordered_ && !next_is_there();
    stretch_.begin = consumed_;
    stretch_.end = consumed_ + slots_.size();
  }
  bool next_is_there() const noexcept { return slot(consumed_).filled.load(Order::acquire); }
  std::uint64_t consumed() const noexcept { return consumed_; }
  // All results were consumed and none will follow.
  bool exhausted() const noexcept { return done.load(Order::acquire) && consumed_ == completed.load(Order::relaxed); }
  // The next result, which is there.
  Value pop() {
    Slot& slot = slots_[static_cast<std::size_t>(consumed_ % slots_.size())];
    ++consumed_;
    stretch_.bytes_out.store(stretch_.bytes_out.load(Order::relaxed) + slot.bytes, Order::relaxed);
    if (slot.error) {
      const std::exception_ptr error = std::exchange(slot.error, nullptr);
      slot.filled.store(false, Order::relaxed);
      std::rethrow_exception(error);
    }
    Value value(std::move(*slot.value));
    slot.value.reset();
    slot.filled.store(false, Order::relaxed);
    return value;
  }

 protected:
  static void value(Job& job, std::uint64_t index, wire::Reader& reader) {
    auto& self = static_cast<StreamJob&>(job);
    Slot& slot = self.slots_[static_cast<std::size_t>((self.ordered_ ? index : self.arrived_) % self.slots_.size())];
    const std::uint64_t bytes = reader.remaining();
    slot.value.emplace(read_result<R>(reader));
    self.arrive(slot, bytes);
  }
  // NOLINTNEXTLINE(performance-unnecessary-value-param): the engine hands it over
  static void error(Job& job, std::uint64_t index, std::exception_ptr what) {
    auto& self = static_cast<StreamJob&>(job);
    Slot& slot = self.slots_[static_cast<std::size_t>((self.ordered_ ? index : self.arrived_) % self.slots_.size())];
    slot.value.reset();
    slot.error = static_cast<std::exception_ptr&&>(what);
    self.arrive(slot, 0);
  }
  static bool satisfied(Job& job) {
    return static_cast<StreamJob&>(job).next_is_there() || job.done.load(Order::acquire);
  }

 private:
  const Slot& slot(std::uint64_t turn) const noexcept { return slots_[static_cast<std::size_t>(turn % slots_.size())]; }
  void arrive(Slot& slot, std::uint64_t bytes) {
    ++arrived_;
    slot.bytes = bytes;
    stretch_.bytes_in.store(stretch_.bytes_in.load(Order::relaxed) + bytes, Order::relaxed);
    slot.filled.store(true, Order::release);
    note_progress(*this);
  }

  const bool ordered_;
  Stretch stretch_;
  std::vector<Slot> slots_;
  std::uint64_t consumed_ = 0;  // the consumer's
  std::uint64_t arrived_ = 0;   // whoever does the pool's work
};

// An lvalue range is referred to, an rvalue moves in here.
template <class R, class Range, class F>
class StreamJobOver final : public StreamJob<R> {
  using Base = StreamJob<R>;
  using Held = std::remove_reference_t<Range>;

 public:
  StreamJobOver(F f, wire::FunctionRef (*make_ref)(const F&), Range&& range, bool ordered, std::size_t most)
      : Base(kOps, wire::FunctionRef{}, ordered, most),
        f_(std::move(f)),
        range_(static_cast<Range&&>(range)),
        input_(range_) {
    this->function = make_ref(f_);
    take_size(*this, range_);
  }

 private:
  static void fill(Job& job, FrameWriter& frame) { static_cast<StreamJobOver&>(job).input_.fill(job, frame, false); }
  static void destroy(Job* job) noexcept { delete static_cast<StreamJobOver*>(job); }
  static Upstream upstream(Job& job) { return static_cast<StreamJobOver&>(job).input_.upstream(); }
  static constexpr Job::Ops kOps{&fill,    &Base::value, &Base::error, &Base::satisfied,
                                 &destroy, nullptr,      nullptr,      &upstream};

  F f_;
  Range range_;
  RangeInput<Held> input_;
};

}  // namespace detail

// A stream of results: an input range that can be read once.
//
//   for (auto& result : pool.imap(f, xs)) ...        // throws a task's exception at its place; the loop ends there
//   while (auto result = stream.next()) ...          // after an exception, next() goes on with the next task
//
// The input is read while results are consumed, at most a window ahead of them. Destroying the stream drops what no
// worker has begun.
//
// It may be the input of another call, of the same pool too: pool.imap(g, pool.imap(f, xs)).
//
// Thread safety: one thread at a time. Blocking: next() does the pool's work while it waits. Across fork: not usable.
template <class R>
class ResultStream {
 public:
  using value_type = detail::value_or_nothing<R>;

  ResultStream(ResultStream&& other) noexcept
      : engine_(std::move(other.engine_)),
        job_(std::exchange(other.job_, nullptr)),
        window_(other.window_),
        refill_at_(other.refill_at_),
        current_(std::move(other.current_)) {}
  ResultStream& operator=(ResultStream other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(job_, other.job_);
    std::swap(window_, other.window_);
    std::swap(refill_at_, other.refill_at_);
    std::swap(current_, other.current_);
    return *this;
  }
  ~ResultStream() {
    if (job_ == nullptr) return;
    engine::drop(*engine_.get(), *job_);
    engine::release(*job_);
  }

  // Waits for the next result; nothing after the last one. Throws the task's exception, and what the input throws once
  // all results before it were returned.
  std::optional<value_type> next() {
    if (!wait(detail::kForever)) return std::nullopt;
    return job_->pop();
  }
  // The same; nothing also when the time is over: done() tells which.
  template <class Rep, class Period>
  std::optional<value_type> next_for(std::chrono::duration<Rep, Period> duration) {
    if (!wait(detail::patience(duration))) return std::nullopt;
    return job_->pop();
  }
  // No result will follow.
  bool done() const noexcept { return job_ == nullptr || (job_->exhausted() && !job_->input_error); }
  // Tasks that have an answer, returned or not.
  std::uint64_t completed() const noexcept {
    return job_ == nullptr ? 0 : job_->completed.load(detail::Order::relaxed);
  }
  // Tasks in the input, if it has a size.
  std::optional<std::uint64_t> total() const noexcept {
    return job_ != nullptr && job_->total_known ? std::optional(job_->total) : std::nullopt;
  }
  std::optional<std::uint64_t> size_hint() const noexcept { return total(); }
  // For the call whose input it is.
  detail::Upstream upstream() {
    constexpr std::uint64_t kEnough = 64;
    if (job_ == nullptr) return {};
    job_->set_window(window(), false);
    return {job_, job_->ready(kEnough)};
  }

  class Iterator {
   public:
    using value_type = ResultStream::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(ResultStream& stream) : stream_(&stream) {}
    value_type& operator*() const noexcept { return *stream_->current_; }
    Iterator& operator++() {
      stream_->step();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !stream_->current_; }

   private:
    ResultStream* stream_ = nullptr;
  };
  Iterator begin() {
    step();
    return Iterator(*this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class detail::Verbs;

  ResultStream(engine::EngineRef engine, detail::StreamJob<R>* job, std::size_t window) noexcept
      : engine_(std::move(engine)), job_(job), window_(window) {}

  void step() {
    current_.reset();
    if (wait(detail::kForever)) current_.emplace(job_->pop());
  }
  // True: the next result is there.
  bool wait(std::chrono::nanoseconds patience) {
    if (job_ == nullptr) return false;
    // The engine is called when nothing is there, and early enough that the workers do not run dry.
    if (!job_->next_is_there() || job_->consumed() >= refill_at_) {
      if (!job_->exhausted() || job_->input_error) {
        job_->set_window(window(), window_ == 0);
        refill_at_ = job_->consumed() + window() / 4 + 1;
        engine::advance(*engine_.get(), *job_, job_->next_is_there() ? std::chrono::nanoseconds{0} : patience);
      }
    }
    if (job_->next_is_there()) return true;
    if (job_->done.load(detail::Order::acquire) && job_->input_error) {
      std::rethrow_exception(std::exchange(job_->input_error, nullptr));
    }
    return false;
  }
  // About a millisecond of work for each worker, twice over; at least enough to keep each busy.
  std::uint64_t window() const noexcept {
    if (window_ > 0) return window_;
    const double task_ns = job_->task_ns.load(detail::Order::relaxed);
    const double workers = engine::processes(*engine_.get());
    const double wanted = task_ns > 0 ? workers * 2e6 / task_ns : 0;
    const double least = (4 + 2 * static_cast<double>(job_->chunksize)) * workers;
    const double most = static_cast<double>(job_->capacity());
    const double window = wanted < least ? least : wanted;
    return static_cast<std::uint64_t>(window > most ? most : window);
  }

  engine::EngineRef engine_;
  detail::StreamJob<R>* job_ = nullptr;
  std::size_t window_ = 0;
  std::uint64_t refill_at_ = 0;
  std::optional<value_type> current_;
};

}  // namespace brood
