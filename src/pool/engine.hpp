// The engine: the dispatcher, and who may drive it when.
//
// One thread at a time drives the dispatcher ("holds the turn"). A thread that waits for an answer takes the turn when
// it is free and works, for all jobs; others that wait meanwhile sleep, and post what they have to send. A service
// thread drives when tasks are open and nobody waits; it is started by the first call that does not wait, and it alone
// runs callbacks.
//
// Thread safety: all of it. Across fork: a child's copy is dead; every call but destruction says so.
#pragma once

#include <brood/pool.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "os/clock.hpp"
#include "os/event.hpp"
#include "os/fd.hpp"
#include "os/interrupt.hpp"
#include "pool/backend.hpp"
#include "pool/dispatcher.hpp"

namespace brood::engine {

// Has the turn while it lives.
class Engine;
class Turn {
 public:
  explicit Turn(Engine& engine) noexcept : engine_(engine) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn();

 private:
  Engine& engine_;
};

class Engine {
 public:
  explicit Engine(const PoolOptions& options);
  // For tests: another backend, which must outlive the engine.
  using MakeBackend = std::unique_ptr<Backend> (*)(const PoolOptions& options, int page_fd, int doorbell_fd);
  Engine(const PoolOptions& options, MakeBackend make_backend);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  // The engine stays while a call is in it, whoever destroys the Pool meanwhile.
  class Stay {
   public:
    explicit Stay(Engine& engine) noexcept : engine_(engine) { engine_.retain(); }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() { engine_.release(); }

   private:
    Engine& engine_;
  };

  void run(Job& job, const char* verb);
  void submit(Job& job, const char* verb);
  void open(Job& job, const char* verb);
  bool advance(Job& job, os::Deadline deadline);
  void drop(Job& job) noexcept;
  bool wait(Job& job, os::Deadline deadline);
  bool cancel(Job& job);
  void call_when_done(Job& job);

  unsigned processes() const noexcept { return processes_; }
  void close(const char* verb);
  void join(const char* verb);
  // Async-signal-safe: kills the workers and leaves the rest to whoever drives next.
  void terminate() noexcept;
  std::vector<pid_t> pids();
  PoolStats stats();
  void leave(bool unwinding) noexcept;

 private:
  friend class Turn;

  void check_usable(const char* verb) const;
  void check_open(const char* verb) const;
  void prepare(Job& job, const char* verb);

  bool try_turn() noexcept;
  void end_turn() noexcept;
  void visit(const char* verb);
  void yield_to_visitors();
  enum class Driven { there, too_late, visited };
  // `mine`: the job of the calling thread; `fed`: the one whose input the dispatcher reads, if any.
  Driven drive(Job* mine, Job* fed, os::Deadline deadline, const std::function<bool()>& until,
               const os::InterruptibleCall* call = nullptr);
  void drive_until(const std::function<bool()>& until, const os::InterruptibleCall* call = nullptr);
  [[noreturn]] static void throw_interrupted();
  bool work(Job& job, os::Deadline deadline);
  void settle(Job* mine);
  void take_posted();
  void wake_waiters() noexcept;
  void interrupt_rest() noexcept;

  // input.cpp
  Job* source_of(Job& job) const;
  Job* fed_in_turn(Job& job) const;
  bool has_room(const Job& job) const noexcept;
  bool can_read(Job& job, bool hungry) const;
  bool read_apart(Job& job, bool hungry);
  bool goes_on(Job& job);
  Parcel* write_parcel(Job& job, std::span<std::byte> scratch, std::uint64_t most);
  void post_input(Job& job, std::uint64_t most = UINT64_MAX);
  void submit_parcels(Job& job, bool single);
  void post(Parcel* parcel);
  void job_done(Job& job);

  void ensure_service();
  void start_service();
  void serve();
  enum class Served { worked, idle, failed };
  Served serve_turn();
  void end_service();
  bool on_service_thread() const noexcept;

  const unsigned processes_;
  const std::uint64_t generation_;
  std::atomic<int> references_{1};

  os::Fd page_memory_;
  channel::PoolPage page_;
  os::Event doorbell_;
  std::unique_ptr<Backend> backend_;
  Functions functions_;
  std::unique_ptr<Dispatcher> dispatcher_;  // belongs to whoever holds the turn
  os::InterruptWatch interrupts_;

  std::atomic<bool> turn_{false};
  std::atomic<std::thread::id> driver_{};  // who holds the turn, to recognize a call from within
  std::atomic<std::uint64_t> turns_{0};    // how many there were
  std::atomic<unsigned> waiters_{0};       // threads that sleep on cv_
  std::atomic<unsigned> visitors_{0};      // threads that want the turn for a moment
  std::atomic<bool> resting_{false};       // the driver may be asleep
  std::atomic<bool> service_drives_{false};
  std::atomic<bool> has_posted_{false};
  std::atomic<std::uint64_t> open_jobs_{0};  // submitted and not done
  std::atomic<bool> closed_{false};
  std::atomic<bool> ended_{false};  // terminated
  std::atomic<bool> joined_{false};
  std::atomic<bool> service_started_{false};

  std::mutex mutex_;
  std::condition_variable cv_;  // the turn is free, or something was answered
  std::condition_variable service_cv_;
  ParcelQueue posted_;                       // guarded by mutex_
  Job* first_due_ = nullptr;                 // guarded by mutex_: jobs whose callbacks are due; each holds a reference
  Job* last_due_ = nullptr;                  // guarded by mutex_
  bool service_stop_ = false;                // guarded by mutex_
  std::thread service_;                      // guarded by mutex_
  std::atomic<bool> service_parked_{false};  // it sleeps until it is notified
  std::atomic<bool> has_callbacks_{false};
  std::atomic<bool> service_must_stop_{false};  // the same as service_stop_, for the service thread while it drives
  std::atomic<std::thread::id> service_id_{};
};

inline Turn::~Turn() { engine_.end_turn(); }

}  // namespace brood::engine
