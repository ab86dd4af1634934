// A pool of worker processes.
//
//   int square(int x) { return x * x; }
//
//   brood::Pool pool(4);
//   std::vector<int> squares = pool.map(square, std::vector{1, 2, 3});      // {1, 4, 9}
//   for (int s : pool.imap(square, std::views::iota(1))) ...                // lazy, in order, any length
//   auto answer = pool.apply_async([](int x) { return x + 1; }, 41);        // answer.get() == 42
//
// Tasks. A task is any callable that can be sent: a function, a lambda without captures or whose captures are trivially
// copyable values, a functor that can be serialized, a member function, or brood::bind(f, args...). Arguments and
// results are anything that archive.hpp can carry. What cannot be sent is a compile-time error that says what to do.
//
// Failures. An exception that leaves a task is thrown by the call: a standard exception type as itself, and every one
// as RemoteError. A task whose worker dies (killed, crashed, exited) throws WorkerDied, which names the signal or
// status and the task's index; the worker is replaced and no other task is affected. A pool whose initializer fails
// says so from the next call on.
//
// Blocking. A call that waits does the pool's work in the calling thread. Calls that do not wait start one service
// thread, which works when nobody waits and runs callbacks.
//
// Ending. Leaving the scope closes the pool and waits for its tasks (while an exception passes through, it terminates).
// When the program dies, however it dies, no worker survives it.
//
// Thread safety: any number of threads may use one Pool. Across fork: under `fork` workers see the program's memory as
// it was when the pool was made, which is before the Pool object itself was there (under the other start methods they
// see nothing of it): a task must not use the pool that it runs in, but may make one of its own. In any other child the
// object is dead: its calls throw ProcessError, its destructor does nothing.
#pragma once

#include <brood/archive.hpp>
#include <brood/detail/bind.hpp>
#include <brood/detail/durations.hpp>
#include <brood/detail/engine.hpp>
#include <brood/detail/jobs.hpp>
#include <brood/error.hpp>
#include <brood/start_method.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <vector>

namespace brood {

struct PoolOptions {
  unsigned processes = 0;                        // 0: cpu_count()
  Task initializer = {};                         // runs first in every worker
  Task finalizer = {};                           // runs last in a worker that ends in peace
  unsigned max_tasks_per_child = 0;              // not available yet: must be 0
  std::size_t max_memory_per_child = 0;          // not available yet: must be 0
  std::optional<StartMethod> start_method = {};  // of the template process; none: get_start_method()
};

struct TaskOptions {
  std::size_t chunksize = 0;            // tasks sent together; 0: by the measured time of a task
  std::chrono::nanoseconds timeout{0};  // not available yet: must be 0
  unsigned retries = 0;                 // how often a task is tried again after its worker died
  std::size_t window = 0;               // imap: tasks in flight or waiting to be consumed; 0: by the measured time, and
                                        // larger while the next result is late (8192 results, 16 MiB of them)
  Progress* progress = nullptr;         // advanced by one per answered task
};

struct WorkerStats {
  pid_t pid = 0;
  std::uint64_t tasks = 0;     // answered, over all processes that had this place
  double busy_seconds = 0;     // spent in tasks
  std::uint64_t restarts = 0;  // processes that died and were replaced
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  long max_rss_kib = 0;  // largest of those that ended; 0 while none has
};

struct PoolStats {
  std::vector<WorkerStats> workers;
  std::uint64_t tasks = 0;
  std::uint64_t restarts = 0;
};

template <class R>
class AsyncResult;
template <class R>
class ResultStream;

namespace detail {
template <class F, class... Args>
using apply_result_t = typename ResultOf<typename CallResult<std::decay_t<F>, shipped_t<Args>...>::type>::type;
template <class F, class Range>
using map_result_t = typename ResultOf<typename CallResult<std::decay_t<F>, item_t<Range>>::type>::type;
template <class F, class Range>
using starmap_result_t = typename ResultOf<typename SpreadCall<std::decay_t<F>, item_t<Range>>::type>::type;

// The verbs, for a pool and a set of options.
class Verbs {
 public:
  // Runs f(args...) in a worker and returns its result.
  template <class F, class... Args>
  apply_result_t<F, Args...> apply(F&& f, Args&&... args) const;
  // The same without waiting.
  template <class F, class... Args>
  AsyncResult<apply_result_t<F, Args...>> apply_async(F&& f, Args&&... args) const;

  // f of every element, in order: a std::vector, or nothing when f returns void. When tasks fail, the first error by
  // index is thrown once all tasks before it have ended; tasks after it that have not begun are dropped.
  template <class F, class Range>
  auto map(F&& f, Range&& range) const -> list_of_t<map_result_t<F, Range>>;
  template <class F, class T>
  auto map(F&& f, std::initializer_list<T> list) const -> list_of_t<map_result_t<F, std::initializer_list<T>&>>;
  // The elements are tuples of arguments.
  template <class F, class Range>
  auto starmap(F&& f, Range&& range) const -> list_of_t<starmap_result_t<F, Range>>;
  // The range is read completely before these return.
  template <class F, class Range>
  auto map_async(F&& f, Range&& range) const -> AsyncResult<list_of_t<map_result_t<F, Range>>>;
  template <class F, class Range>
  auto starmap_async(F&& f, Range&& range) const -> AsyncResult<list_of_t<starmap_result_t<F, Range>>>;

  // A stream of results, in the order of the input or as they complete. The input is read as results are consumed, a
  // bounded window ahead; it may be infinite. An lvalue range must outlive the stream; an rvalue moves into it.
  //
  // What the input throws ends the stream, after the results of what came before; so does an element that cannot be
  // encoded.
  //
  // A single-pass range, here and in map, may use the pool while it is read: pool.imap(g, pool.imap(f, xs)) is a
  // pipeline. Reading any other range from the pool it feeds is a ProcessError.
  template <class F, class Range>
  auto imap(F&& f, Range&& range) const -> ResultStream<map_result_t<F, Range>>;
  template <class F, class Range>
  auto imap_unordered(F&& f, Range&& range) const -> ResultStream<map_result_t<F, Range>>;

 protected:
  Verbs(engine::EngineRef engine, const TaskOptions& options) : engine_(std::move(engine)), options_(options) {}
  ~Verbs() = default;
  Verbs(const Verbs&) = default;
  Verbs(Verbs&&) = default;
  Verbs& operator=(Verbs&&) = default;

  engine::Engine& engine() const {
    if (!engine_) engine::refuse("brood::Pool: moved from, or used in one of its own workers, where it does not exist");
    return *engine_.get();
  }

  template <bool Spread, class R, class F, class Range>
  auto submit_list(F& f, Range& range, const char* verb) const -> AsyncResult<list_of_t<R>>;
  template <class F, class Range>
  auto stream(F&& f, Range&& range, bool ordered, const char* verb) const -> ResultStream<map_result_t<F, Range>>;

  engine::EngineRef engine_;
  TaskOptions options_;
};
}  // namespace detail

// A pool's verbs with options of their own: pool.with({.chunksize = 100}).map(f, xs).
class PoolWith : public detail::Verbs {
 private:
  friend class Pool;
  PoolWith(engine::EngineRef engine, const TaskOptions& options) : Verbs(std::move(engine), options) {}
};

class Pool : public detail::Verbs {
 public:
  Pool() : Pool(PoolOptions{}) {}
  explicit Pool(unsigned processes) : Pool(PoolOptions{.processes = processes}) {}
  // Starts the workers. They come from a template process, which is forked from the caller here or, under the other
  // start methods, is a clean process of this program (see brood::init).
  explicit Pool(const PoolOptions& options);
  Pool(Pool&&) = default;
  Pool& operator=(Pool&&) = delete;
  // Closes and joins; terminates while an exception is on its way. A Ctrl-C while it waits ends the tasks, and then the
  // program as if brood had not been there: by SIGINT.
  ~Pool();

  PoolWith with(const TaskOptions& options) const;

  // No tasks are accepted any more; those that were are finished. Streams go on until join().
  void close();
  // Waits until all tasks are answered and all workers have ended, however long that takes. After close() or
  // terminate() only.
  void join();
  // Ends the workers at once; tasks without an answer get Cancelled. Bounded, idempotent; may be called from any
  // thread, from a callback, and from a signal handler.
  void terminate() noexcept;

  // The number of workers.
  unsigned size() const;
  // The processes of the workers. Waits until all of them have been started, or one could not be.
  std::vector<pid_t> pids() const;
  PoolStats stats() const;

 private:
  int exceptions_;
};

}  // namespace brood

#include <brood/detail/verbs.hpp>
