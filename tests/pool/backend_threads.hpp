// An engine whose workers are threads of the test: the same protocol without processes, for the sanitizers and for
// workers that end, start or answer as the test wants it.
#pragma once

#include <brood/detail/jobs.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "os/clock.hpp"
#include "pool/engine.hpp"
#include "pool/fake_backend.hpp"
#include "pool/worker.hpp"

namespace brood::engine::testing {

// What the test decides. Constant while an engine lives.
struct ThreadScript {
  RingSizes sizes = {};
  std::deque<int> start_errors;  // of the first starts; 0: it succeeds
  std::chrono::milliseconds start_delay{0};
  // Plays the worker number `start` (from 1); false: the real one. When it returns, the worker has died with `code`.
  std::function<bool(unsigned start, FakeWorker& worker, int& code)> play;
};

class ThreadBackend final : public Backend {
 public:
  static inline ThreadScript script;
  static inline std::atomic<unsigned> starts{0};

  static std::unique_ptr<Backend> make(const PoolOptions&, int page_fd, int doorbell_fd) {
    return std::make_unique<ThreadBackend>(page_fd, doorbell_fd);
  }

  ThreadBackend(int page_fd, int doorbell_fd) : page_fd_(page_fd), doorbell_fd_(doorbell_fd) { starts = 0; }
  ~ThreadBackend() override { finish(os::Deadline::never()); }

  std::unique_ptr<channel::DispatcherEnd> start(unsigned slot, std::uint64_t epoch) override {
    const unsigned number = ++starts;
    if (number <= script.start_errors.size() && script.start_errors[number - 1] != 0) {
      throw std::system_error(script.start_errors[number - 1], std::generic_category(), "fake start");
    }
    auto memory = std::make_shared<os::Fd>(channel::make_channel_memory(script.sizes));
    auto end = std::make_unique<channel::DispatcherEnd>(memory->get(), script.sizes);
    const std::lock_guard lock(mutex_);
    ++running_;
    threads_.emplace_back([this, slot, epoch, number, memory] { run(slot, epoch, number, *memory); });
    return end;
  }
  std::optional<WorkerEvent> next_event() override {
    const std::lock_guard lock(mutex_);
    happened_.clear();
    if (events_.empty()) return std::nullopt;
    const WorkerEvent event = events_.front();
    events_.pop_front();
    return event;
  }
  int event_fd() const noexcept override { return happened_.fd(); }
  // A thread cannot be killed; a played one looks at its words and obeys.
  void kill(unsigned slot) noexcept override {
    const std::lock_guard lock(mutex_);
    killed_.push_back(slot);
  }
  bool was_killed(unsigned slot) {
    const std::lock_guard lock(mutex_);
    return std::find(killed_.begin(), killed_.end(), slot) != killed_.end();
  }
  bool finish(os::Deadline deadline) override {
    std::unique_lock lock(mutex_);
    while (running_ > 0) {
      if (deadline.is_never()) {
        ended_.wait(lock);
      } else if (ended_.wait_for(lock, std::chrono::nanoseconds(deadline.remaining_ns())) == std::cv_status::timeout) {
        return false;
      }
    }
    std::vector<std::thread> threads = std::exchange(threads_, {});
    lock.unlock();
    for (std::thread& thread : threads) thread.join();
    return true;
  }
  void terminate() noexcept override {}

 private:
  void run(unsigned slot, std::uint64_t epoch, unsigned number, os::Fd& memory) {
    if (script.start_delay.count() > 0) std::this_thread::sleep_for(script.start_delay);
    const auto pid = static_cast<pid_t>(1000 + number);
    tell(WorkerEvent::Kind::started, slot, epoch, pid, 0);
    int code = 0;
    bool played = false;
    if (script.play) {
      FakeWorker worker(memory.get(), script.sizes, epoch);
      os::Event doorbell = os::Event::adopt(duplicate(doorbell_fd_));
      worker.ring = [&] { doorbell.set(); };
      played = script.play(number, worker, code);
    }
    if (!played) {
      channel::WorkerEnd link(memory.get(), script.sizes);
      channel::PoolPage page(page_fd_, os::Access::read);
      os::Event doorbell = os::Event::adopt(duplicate(doorbell_fd_));
      code = serve(link, page, doorbell);
    }
    tell(WorkerEvent::Kind::ended, slot, epoch, pid, code);
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_all();
  }
  static os::Fd duplicate(int fd) {
    os::Fd borrowed(fd);
    os::Fd copy = borrowed.duplicate();
    borrowed.release();
    return copy;
  }
  void tell(WorkerEvent::Kind kind, unsigned slot, std::uint64_t epoch, pid_t pid, int code) {
    WorkerEvent event;
    event.kind = kind;
    event.slot = slot;
    event.epoch = epoch;
    event.pid = pid;
    event.status.code = code;
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    happened_.set();
  }

  const int page_fd_, doorbell_fd_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<std::thread> threads_;
  std::deque<WorkerEvent> events_;
  std::vector<unsigned> killed_;
  unsigned running_ = 0;
  os::Event happened_;
};

// A pool of such workers, with the calls that the tests need.
class ThreadPool {
 public:
  explicit ThreadPool(unsigned processes, ThreadScript script = {}) {
    ThreadBackend::script = std::move(script);
    PoolOptions options;
    options.processes = processes;
    engine_ = new Engine(options, &ThreadBackend::make);
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    engine_->leave(false);
    engine_->release();
  }

  template <class F, class T>
  auto map(F f, const std::vector<T>& range, std::size_t chunksize = 0, unsigned retries = 0) {
    using R = decltype(f(range[0]));
    detail::MapJob<R, const std::vector<T>> job(detail::make_function_ref<F, false, T>(f), range);
    job.chunksize = chunksize;
    job.retries = retries;
    engine::run(*engine_, job, "map");
    job.result.set_count(job.accepted);
    return std::move(job.result).get();
  }
  template <class F, class T>
  auto apply(F f, const T& value) {
    using R = decltype(f(value));
    detail::ApplyJob<R, T> job(detail::make_function_ref<F, false, T>(f), value);
    engine::run(*engine_, job, "apply");
    return std::move(job.result).get();
  }

  Engine& engine() { return *engine_; }

 private:
  Engine* engine_;
};

}  // namespace brood::engine::testing
