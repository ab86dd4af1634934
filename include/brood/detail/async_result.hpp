// The answer of a call that did not wait.
#pragma once

#include <brood/detail/atomic.hpp>
#include <brood/detail/durations.hpp>
#include <brood/detail/engine.hpp>
#include <brood/detail/jobs.hpp>
#include <brood/error.hpp>

#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace brood {

namespace detail {

inline constexpr std::chrono::nanoseconds kForever{-1};

// A negative duration has passed already; the engine's "for ever" must be asked for by name.
template <class Rep, class Period>
constexpr std::chrono::nanoseconds patience(std::chrono::duration<Rep, Period> duration) {
  if (duration <= duration.zero()) return std::chrono::nanoseconds{0};
  if (duration > std::chrono::hours{24 * 365 * 100}) return kForever;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration);
}

struct Callback {
  Callback* next = nullptr;
  virtual void run(Job& job) = 0;
  virtual ~Callback() = default;
};

// What AsyncResult<R> shares with the engine, whichever verb made it.
template <class R>
class AsyncJob : public Job {
 public:
  AsyncJob(const Ops& how, const wire::FunctionRef& f) : Job(how, f) {}
  ~AsyncJob() {
    for (Callback* c = callbacks_.load(Order::relaxed); c != nullptr;) delete std::exchange(c, c->next);
  }

  // Once it is done:
  bool (*failed)(const AsyncJob&) = nullptr;
  R (*get)(AsyncJob&, bool move) = nullptr;

  void add(Callback* callback) noexcept {
    callback->next = callbacks_.load(Order::relaxed);
    while (!callbacks_.compare_exchange_weak(callback->next, callback, Order::release)) {
    }
  }

 protected:
  // In the service thread: the callbacks in the order in which they were added.
  static void finished(Job& job) {
    Callback* list = nullptr;
    for (Callback* c = static_cast<AsyncJob&>(job).callbacks_.exchange(nullptr, Order::acquire); c != nullptr;) {
      Callback* const next = std::exchange(c->next, list);
      list = std::exchange(c, next);
    }
    while (list != nullptr) {
      Callback* const callback = std::exchange(list, list->next);
      try {
        callback->run(job);
      } catch (...) {
        // A callback that throws breaks nothing: nobody waits for it.
      }
      delete callback;
    }
  }

 private:
  Atomic<Callback*> callbacks_{nullptr};
};

// D: the derived class, with a static fill(Job&, FrameWriter&). Its input is written during submit().
template <class D, class R, class Result>
class AsyncJobWith : public AsyncJob<R> {
 public:
  explicit AsyncJobWith(const wire::FunctionRef& f) : AsyncJob<R>(kOps, f) {
    this->failed = [](const AsyncJob<R>& job) { return static_cast<const AsyncJobWith&>(job).result.failed(); };
    this->get = [](AsyncJob<R>& job, bool move) -> R {
      auto& mine = static_cast<AsyncJobWith&>(job).result;
      mine.set_count(job.answered);
      if constexpr (std::is_void_v<R> || std::is_copy_constructible_v<R>) {
        return move ? std::move(mine).get() : mine.get();
      } else {
        return std::move(mine).get();
      }
    };
  }

  Result result;

 private:
  static void destroy(Job* job) noexcept { delete static_cast<D*>(job); }
  static void fill(Job& job, FrameWriter& frame) { D::fill(job, frame); }
  static constexpr Job::Ops kOps{&fill,
                                 &take_value<AsyncJobWith>,
                                 &take_error<AsyncJobWith>,
                                 &is_done,
                                 &destroy,
                                 &AsyncJob<R>::finished,
                                 values_of<AsyncJobWith>(),
                                 nullptr,
                                 part_of<AsyncJobWith>()};
};

template <class R, class... Args>
class AsyncApplyJob final : public AsyncJobWith<AsyncApplyJob<R, Args...>, R, OneResult<R>> {
 public:
  AsyncApplyJob(const wire::FunctionRef& f, const Args&... args)
      : AsyncJobWith<AsyncApplyJob, R, OneResult<R>>(f), args_(args...) {
    this->total = 1;
    this->total_known = true;
  }

  static void fill(Job& job, FrameWriter& frame) {
    wire::Writer& writer = frame.begin();
    auto& args = static_cast<AsyncApplyJob&>(job).args_;
    [&]<std::size_t... I>(std::index_sequence<I...>) { (wire::save(writer, std::get<I>(args)), ...); }
    (std::index_sequence_for<Args...>{});
    frame.end();
    job.input_done = true;
  }

 private:
  std::tuple<const Args&...> args_;
};

template <class R, class Range>
class AsyncMapJob final : public AsyncJobWith<AsyncMapJob<R, Range>, list_of_t<R>, ListResult<R>> {
 public:
  AsyncMapJob(const wire::FunctionRef& f, Range& range)
      : AsyncJobWith<AsyncMapJob, list_of_t<R>, ListResult<R>>(f), input_(range) {
    take_size(*this, range);
    if (this->total_known) this->result.expect(this->total);
    this->each = false;
    this->stop_on_error = true;
  }

  static void fill(Job& job, FrameWriter& frame) { static_cast<AsyncMapJob&>(job).input_.fill(job, frame, false); }

 private:
  RangeInput<Range> input_;
};

}  // namespace detail

// The answer of apply_async, map_async or starmap_async. A handle: copies share the answer; it outlives the Pool.
//
// Thread safety: any number of threads may use one answer or its copies. Blocking: get() and wait() do the pool's work
// while they wait. Across fork: not usable in a child.
template <class R>
class AsyncResult {
 public:
  AsyncResult() = default;  // refers to nothing: only assignment and destruction are allowed
  AsyncResult(const AsyncResult& other) noexcept : engine_(other.engine_), job_(other.job_) {
    if (job_ != nullptr) engine::retain(*job_);
  }
  AsyncResult(AsyncResult&& other) noexcept
      : engine_(std::move(other.engine_)), job_(std::exchange(other.job_, nullptr)) {}
  AsyncResult& operator=(AsyncResult other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(job_, other.job_);
    return *this;
  }
  ~AsyncResult() {
    if (job_ != nullptr) engine::release(*job_);
  }

  // Waits, then returns the value or throws the task's exception. On a named AsyncResult the value is copied and may be
  // asked for again; `pool.apply_async(f).get()` and `std::move(answer).get()` move it out.
  R get() & {
    wait();
    return job_->get(*job_, false);
  }
  R get() && {
    wait();
    return job_->get(*job_, true);
  }
  // The value if it comes in time, else nothing (for void: whether it came).
  template <class Rep, class Period>
  auto get_for(std::chrono::duration<Rep, Period> duration) {
    const bool came = wait_for(duration);
    if constexpr (std::is_void_v<R>) {
      if (came) job_->get(*job_, false);
      return came;
    } else {
      return came ? std::optional<R>(job_->get(*job_, false)) : std::nullopt;
    }
  }
  void wait() const {
    check();
    engine::wait(*engine_.get(), *job_, detail::kForever);
  }
  // True: it is ready.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> duration) const {
    check();
    return engine::wait(*engine_.get(), *job_, detail::patience(duration));
  }
  bool ready() const { return wait_for(std::chrono::nanoseconds{0}); }
  // Whether it has a value rather than an exception; ProcessError while it is not ready.
  bool successful() const {
    if (!ready()) engine::refuse("AsyncResult::successful(): there is no answer yet; wait() for it first");
    return !job_->failed(*job_);
  }
  // Takes back what no worker has begun; such tasks end with Cancelled. True: nothing of it had been begun. False: some
  // of it has an answer or was begun, or that is not known yet: what a worker has not begun after all is still taken
  // back.
  bool cancel() {
    check();
    return engine::cancel(*engine_.get(), *job_);
  }

  // f(value) is called once the answer is there, in the pool's service thread; f() for void. Callbacks run one at a
  // time in the order in which answers come; they may use the pool. What they throw is dropped. Once the pool has ended
  // they are called at once, in the calling thread.
  template <class F>
  AsyncResult& then(F f) {
    if constexpr (std::is_void_v<R>) {
      static_assert(std::is_invocable_v<F&>,
                    "brood: the callback of then() must take no argument: the task has no value");
    } else {
      static_assert(std::is_invocable_v<F&, R>, "brood: the callback of then() must take the task's value");
    }
    struct OnValue final : detail::Callback {
      explicit OnValue(F callback) : f(std::move(callback)) {}
      void run(detail::Job& job) override {
        auto& mine = static_cast<detail::AsyncJob<R>&>(job);
        if (mine.failed(mine)) return;
        if constexpr (std::is_void_v<R>) {
          detail::invoke(f);
        } else {
          detail::invoke(f, mine.get(mine, false));
        }
      }
      F f;
    };
    return add(new OnValue(std::move(f)));
  }
  // f(std::exception_ptr) when there is no value but an exception.
  template <class F>
  AsyncResult& on_error(F f) {
    static_assert(std::is_invocable_v<F&, std::exception_ptr>,
                  "brood: the callback of on_error() must take a std::exception_ptr");
    struct OnError final : detail::Callback {
      explicit OnError(F callback) : f(std::move(callback)) {}
      void run(detail::Job& job) override {
        auto& mine = static_cast<detail::AsyncJob<R>&>(job);
        if (!mine.failed(mine)) return;
        try {
          mine.get(mine, false);
        } catch (...) {
          detail::invoke(f, std::current_exception());
        }
      }
      F f;
    };
    return add(new OnError(std::move(f)));
  }

 private:
  friend class detail::Verbs;

  // Takes over the reference with which the job was made.
  AsyncResult(engine::EngineRef engine, detail::AsyncJob<R>* job) noexcept : engine_(std::move(engine)), job_(job) {}

  void check() const {
    if (job_ == nullptr) engine::refuse("AsyncResult: it refers to no call; assign one from apply_async or map_async");
  }
  AsyncResult& add(detail::Callback* callback) {
    try {
      check();
    } catch (...) {
      delete callback;
      throw;
    }
    job_->add(callback);
    engine::call_when_done(*engine_.get(), *job_);
    return *this;
  }

  engine::EngineRef engine_;
  detail::AsyncJob<R>* job_ = nullptr;
};

}  // namespace brood
