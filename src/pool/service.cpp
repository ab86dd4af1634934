// The engine's service thread, and the ends of a pool.
#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "os/fork.hpp"
#include "os/signals.hpp"
#include "pool/engine.hpp"

namespace brood::engine {
namespace {

using namespace std::chrono_literals;

// How long nobody else must have driven before the service thread does; longer while others keep driving.
constexpr std::chrono::nanoseconds kShortestPatience = 200us;
constexpr std::chrono::nanoseconds kLongestPatience = 20ms;
// How often a thread that waits for workers to end looks whether it was interrupted.
constexpr std::chrono::nanoseconds kLookUp = 100ms;
// A burst of calls with pauses does not wake it each time.
constexpr unsigned kLooksBeforeParking = 8;

}  // namespace

bool Engine::on_service_thread() const noexcept { return service_id_.load() == std::this_thread::get_id(); }

// Before a call that does not wait hands over its tasks: without the thread they might never be worked on.
void Engine::ensure_service() {
  if (service_started_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (service_started_.load(std::memory_order_relaxed) || service_stop_) return;
  const os::SignalMask block_all;  // the program's signals are for the program's threads
  retain();
  try {
    service_ = std::thread([this] {
      serve();
      release();  // the last reference, perhaps, when a callback ended the pool
    });
  } catch (const std::system_error& error) {
    references_.fetch_sub(1, std::memory_order_relaxed);  // not the last: the caller has one
    throw ProcessError(std::string("the pool cannot start its service thread: ") + error.what());
  } catch (...) {
    references_.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
  service_started_.store(true, std::memory_order_release);
}

void Engine::start_service() {
  ensure_service();
  // While it is not parked it looks by itself, soon enough.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!service_parked_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  service_cv_.notify_one();
}

// For a holder of the turn that waits for no job in particular.
void Engine::drive_until(const std::function<bool()>& until, const os::InterruptibleCall* call) {
  while (drive(nullptr, nullptr, os::Deadline::never(), until, call) == Driven::visited) yield_to_visitors();
}

void Engine::serve() {
  service_id_.store(std::this_thread::get_id());
  std::chrono::nanoseconds patience = kShortestPatience;
  std::uint64_t seen_turns = turns_.load();
  unsigned idle_looks = 0;
  bool was_idle = false;  // at the last look no task was on its way: streams whose consumers pause
  const auto nothing_to_do = [&] {
    return open_jobs_.load(std::memory_order_seq_cst) == 0 ||
           (was_idle && turns_.load(std::memory_order_seq_cst) == seen_turns && !has_posted_.load());
  };
  std::unique_lock lock(mutex_);
  for (;;) {
    if (first_due_ != nullptr) {
      Job* const job = std::exchange(first_due_, first_due_->next_due);
      if (first_due_ == nullptr) last_due_ = nullptr;
      job->due = false;
      has_callbacks_.store(first_due_ != nullptr, std::memory_order_relaxed);
      lock.unlock();
      job->ops->finished(*job);
      engine::release(*job);
      lock.lock();
      continue;
    }
    if (service_stop_) return;
    if (nothing_to_do() && ++idle_looks > kLooksBeforeParking) {
      service_parked_.store(true, std::memory_order_seq_cst);
      if (nothing_to_do()) service_cv_.wait(lock);
      service_parked_.store(false, std::memory_order_relaxed);
      idle_looks = 0;
      was_idle = false;
      patience = kShortestPatience;
      continue;
    }
    service_cv_.wait_for(lock, patience);
    if (first_due_ != nullptr || service_stop_) continue;
    if (nothing_to_do()) {
      patience = std::min(2 * patience, kLongestPatience);
      continue;
    }
    const std::uint64_t turns = turns_.load();
    if (turns != seen_turns || waiters_.load() > 0 || !try_turn()) {
      seen_turns = turns;
      was_idle = false;  // somebody was here since: who knows what he left behind
      patience = std::min(2 * patience, kLongestPatience);
      continue;
    }
    lock.unlock();
    const Served served = serve_turn();
    lock.lock();
    seen_turns = turns_.load();
    was_idle = served == Served::idle;
    if (!was_idle) idle_looks = 0;
    patience = served == Served::failed ? kLongestPatience : kShortestPatience;
  }
}

// Failed: something was not to be had, memory perhaps. Nobody waits to whom it could be thrown; it is tried again.
Engine::Served Engine::serve_turn() {
  const Turn turn(*this);
  service_drives_.store(true, std::memory_order_seq_cst);
  Served served = dispatcher_->outstanding() > 0 || has_posted_.load() ? Served::worked : Served::idle;
  try {
    drive(nullptr, nullptr, os::Deadline::never(), [this] {
      return waiters_.load(std::memory_order_seq_cst) > 0 || open_jobs_.load(std::memory_order_relaxed) == 0 ||
             (dispatcher_->outstanding() == 0 && !has_posted_.load(std::memory_order_relaxed)) ||
             has_callbacks_.load(std::memory_order_relaxed) || service_must_stop_.load(std::memory_order_relaxed);
    });
  } catch (...) {
    served = Served::failed;
  }
  service_drives_.store(false, std::memory_order_relaxed);
  return served;
}

// The service thread finishes the callbacks that are due, then ends.
void Engine::end_service() {
  std::thread service;
  {
    const std::lock_guard lock(mutex_);
    service_stop_ = true;
    service_must_stop_.store(true, std::memory_order_relaxed);
    service_cv_.notify_one();
    service.swap(service_);
  }
  if (!service.joinable()) return;
  if (service_drives_.load()) interrupt_rest();
  if (on_service_thread()) {
    service.detach();  // a callback ends the pool: the thread ends when the callback returns
  } else {
    service.join();
  }
}

void Engine::close(const char* verb) {
  check_usable(verb);
  closed_.store(true, std::memory_order_relaxed);
}

void Engine::terminate() noexcept {
  if (generation_ != os::fork_generation()) return;
  ended_.store(true, std::memory_order_seq_cst);
  dispatcher_->end();
  if (!joined_.load(std::memory_order_relaxed)) backend_->terminate();
  dispatcher_->interrupt();
}

void Engine::join(const char* verb) {
  const Stay stay(*this);
  check_usable(verb);
  if (!closed_.load() && !ended_.load()) {
    throw ProcessError(std::string("Pool::") + verb + "(): call close() or terminate() first");
  }
  {
    const os::InterruptibleCall call;
    visit(verb);
    const Turn turn(*this);
    if (!joined_.load()) {
      const auto quiet = [this] { return ended_.load() || (dispatcher_->quiet() && !has_posted_.load()); };
      drive_until(quiet, &call);
      if (!ended_.load()) {
        dispatcher_->stop_workers();
        drive_until(quiet, &call);
        while (!ended_.load() && !backend_->finish(os::Deadline::after(kLookUp))) {
          if (call.interrupted()) throw_interrupted();
        }
      }
      joined_.store(true);
      settle(nullptr);
    }
  }
  if (!on_service_thread()) end_service();
}

void Engine::leave(bool unwinding) noexcept {
  if (generation_ != os::fork_generation()) return;
  try {
    if (unwinding) terminate();
    closed_.store(true);
    join("~Pool");
    end_service();
  } catch (const Interrupted&) {
    terminate();
    end_service();
    os::end_by_interrupt();  // a destructor cannot report it
  } catch (...) {
    // From within the engine itself, or out of resources: what is left is to end the workers.
    terminate();
    end_service();
  }
}

std::vector<pid_t> Engine::pids() {
  const Stay stay(*this);
  visit("pids");
  const Turn turn(*this);
  if (!joined_.load()) {
    drive_until([this] {
      dispatcher_->look_after_workers();
      return ended_.load() || dispatcher_->broken() || dispatcher_->all_started() || dispatcher_->starts_fail();
    });
  }
  std::vector<pid_t> pids;
  if (ended_.load() || joined_.load()) return pids;
  for (const auto& worker : dispatcher_->workers()) {
    // One that is being started has none yet.
    if (worker->life == WorkerSlot::Life::alive && worker->pid > 0) pids.push_back(worker->pid);
  }
  return pids;
}

PoolStats Engine::stats() {
  const Stay stay(*this);
  visit("stats");
  const Turn turn(*this);
  dispatcher_->step(nullptr);
  PoolStats stats;
  for (const auto& worker : dispatcher_->workers()) {
    WorkerStats one;
    one.pid = worker->life == WorkerSlot::Life::alive ? worker->pid : 0;
    one.tasks = worker->tasks;
    one.busy_seconds = static_cast<double>(worker->total_busy_ns()) * 1e-9;
    one.restarts = worker->restarts;
    one.bytes_sent = worker->bytes_sent;
    one.bytes_received = worker->bytes_received;
    one.max_rss_kib = worker->max_rss_kib;
    stats.tasks += one.tasks;
    stats.restarts += one.restarts;
    stats.workers.push_back(one);
  }
  return stats;
}

}  // namespace brood::engine
