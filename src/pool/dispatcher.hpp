// The dispatcher: gives tasks to workers, takes their answers, and knows at every moment who holds which task.
//
// **Invariants**
//  1. Every task that was accepted is at any moment in exactly one place: in `pending_`, or unanswered in one worker's
//     `sent` (and not among its reclaimed ones).
//  2. A task leaves that place only by an answer: its value, its error, WorkerDied, or Cancelled. It never comes back.
//  3. A worker runs a task only after it has stored the task's sequence number in its ledger; a task that the ledger of
//     a dead worker does not show was never begun, so another worker may have it.
//  4. A task is reclaimed from a live worker only when the worker provably sees the revocation before it would begin.
//
// Thread safety: none. One thread at a time owns the dispatcher (engine.hpp says how). The user's code that it calls
// (writing arguments, reading results) may not come back to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "os/event.hpp"
#include "pool/backend.hpp"
#include "pool/functions.hpp"
#include "pool/parcel.hpp"
#include "pool/worker_slot.hpp"

namespace brood::engine {

struct DispatcherOptions {
  unsigned processes = 1;
  unsigned cpus = 1;
  Function* initializer = nullptr;
  Function* finalizer = nullptr;
};

class Dispatcher {
 public:
  // `page` and `doorbell` are shared with the backend's workers. `on_done` hears of each job when its last task is
  // answered; `on_news` is called after a round in which a posted parcel left or a job of another thread advanced.
  Dispatcher(const DispatcherOptions& options, Backend& backend, channel::PoolPage& page, os::Event& doorbell,
             std::function<void(Job&)> on_done, std::function<void()> on_news);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Starts the workers.
  void start();

  // The size of the job's items if they are to be written without lengths, else 0. From any thread.
  std::uint32_t item_bytes(const Job& job) const noexcept {
    return membarrier_ && !job.each ? static_cast<std::uint32_t>(job.item_bytes()) : 0;
  }
  // Takes encoded tasks.
  void accept(Parcel* parcel);
  // Writes a job's whole input to a worker that wants it now; otherwise leaves it unwritten. For a single task.
  void offer(Job& job);
  // One round of work without blocking: drains results, feeds workers (with `mine`'s input, too, if given), looks after
  // the dead. True if anything moved.
  bool step(Job* mine);
  // Whether the last step() gave work to a worker.
  bool fed() const noexcept { return fed_; }
  // Looks at the backend's events now.
  bool look_after_workers();
  // Sleeps until there may be something to do, or the deadline; spins first where that pays.
  void rest(Job* mine, os::Deadline deadline);
  // rest() in another thread returns soon.
  void interrupt() noexcept {
    attention_.store(true, std::memory_order_relaxed);
    doorbell_.set();
  }

  // Answers every task that is not answered with `error`; nothing is fed any more.
  void fail_all(const std::exception_ptr& error);
  // Forgets a job whose memory ends: its tasks that have not begun are dropped, the answers of others ignored.
  void abandon(Job& job);
  // Takes back those of its tasks that no worker has begun and answers them with `error`: how many.
  std::uint64_t cancel(Job& job, const std::exception_ptr& error);
  // The engine has all of the job's input.
  void close(Job& job);
  // No task is on its way, not even one that nobody waits for any more.
  bool quiet() const noexcept { return outstanding_ == 0 && busy_.empty() && streaming_ == 0 && controls_ == 0; }
  // From any thread, also from a signal handler: no worker is started or fed any more, deaths are not answered.
  void end() noexcept { ended_.store(true, std::memory_order_seq_cst); }
  bool stopping() const noexcept { return stopping_; }
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }
  // Asks every worker to end, once quiet; it is done when it is quiet again.
  void stop_workers();

  // Set when no worker can be had any more, for example because the initializer failed.
  std::exception_ptr broken() const noexcept { return broken_; }
  std::uint64_t outstanding() const noexcept { return outstanding_; }
  bool all_started() const noexcept;
  // A worker is missing because the system refused the last attempt to start one.
  bool starts_fail() const noexcept { return absent_ > 0 && refused_; }
  const std::vector<std::unique_ptr<WorkerSlot>>& workers() const noexcept { return workers_; }

 private:
  // feed.cpp
  bool feed();
  bool has_source() const noexcept;
  bool has_input() const noexcept;
  WorkerSlot* pick() noexcept;
  bool next_task_is_fast() const noexcept;
  bool feed_worker(WorkerSlot& worker);
  bool send_parcel(WorkerSlot& worker, Parcel* parcel);
  bool send_input(WorkerSlot& worker, Job& job);
  void put_header(WorkerSlot& worker, std::byte* at, wire::FrameKind kind, std::uint32_t function, std::uint32_t count,
                  std::uint64_t length);
  wire::FrameKind kind_for(const Job& job, std::uint32_t item_bytes, bool streams) const noexcept;
  void record_sent(WorkerSlot& worker, Sent sent);
  void block(WorkerSlot& worker) noexcept;
  void note_departure(Job& job) noexcept;
  void drop_parcel(Parcel* parcel);
  std::uint64_t chunk_for(const Job& job, const Function& function) const noexcept;
  void ring_bells();

  // stream.cpp
  bool define(WorkerSlot& worker, Function& function);
  bool send_control(WorkerSlot& worker);
  void begin_stream(WorkerSlot& worker, Parcel* parcel) noexcept;
  bool stream_out(WorkerSlot& worker);
  void skip_outgoing(WorkerSlot& worker) noexcept;
  void own_outgoing(WorkerSlot& worker);
  void end_stream(WorkerSlot& worker) noexcept;

  // drain.cpp
  bool drain(WorkerSlot& worker);
  void take_records(WorkerSlot& worker, std::span<const std::byte> window);
  void begin_incoming(WorkerSlot& worker, wire::Record record);
  std::size_t take_values(WorkerSlot& worker, std::span<const std::byte> window);
  void begin_values(WorkerSlot& worker, wire::Record record);
  void take_incoming(WorkerSlot& worker, std::span<const std::byte> window);
  void take_part(WorkerSlot& worker, std::span<const std::byte> bytes) noexcept;
  void learn_pid(WorkerSlot& worker);
  static void check_turn(WorkerSlot& worker, wire::Record record);
  void handle(WorkerSlot& worker, wire::Record record, std::span<const std::byte> payload);
  void handle_declined(WorkerSlot& worker, std::uint64_t count);
  void give_value(Job& job, std::uint64_t index, std::span<const std::byte> bytes);
  void give_error(Job& job, std::uint64_t index, std::exception_ptr error);
  void count_answers(Job& job, std::uint64_t count = 1);
  void end_if_done(Job& job);
  void step_over(WorkerSlot& worker, std::uint32_t count = 1);
  void measure(WorkerSlot& worker, Function* function);

  // recover.cpp
  void begin_worker(WorkerSlot& worker);
  void handle_event(const WorkerEvent& event);
  void bury(WorkerSlot& worker, const os::ExitStatus& status);
  void schedule_restart(WorkerSlot& worker, bool was_ready, const std::string& how_it_ended);
  bool restart_due();
  Parcel* copy_from_ring(WorkerSlot& worker, Sent& sent, std::uint32_t from, std::uint32_t count);
  bool intact(const WorkerSlot& worker, const Sent& sent) const noexcept;
  void give_back(WorkerSlot& worker, Sent& sent, std::uint32_t from, std::uint32_t count, std::uint32_t shares = 1);
  void answer_dead(WorkerSlot& worker, Sent& sent, std::uint32_t item, int exitcode);
  void requeue(Parcel* parcel);
  void requeue_returned();
  void withdraw(Job& job);
  void drop_failing();
  bool take_back();
  void revoke(WorkerSlot& worker);
  void end_revocation(WorkerSlot& worker);
  void kill(WorkerSlot& worker) noexcept;
  void break_pool(const std::exception_ptr& error);

  void enter_busy(WorkerSlot& worker);
  void update_lane(WorkerSlot& worker);
  void leave_lanes(WorkerSlot& worker) noexcept;
  bool unblock();
  bool replaces() const noexcept;
  void set_wake_points();
  std::int64_t next_alarm_ns() const noexcept;

  const DispatcherOptions options_;
  Backend& backend_;
  channel::PoolPage& page_;
  os::Event& doorbell_;
  std::function<void(Job&)> on_done_;
  std::function<void()> on_news_;

  std::vector<std::unique_ptr<WorkerSlot>> workers_;
  std::vector<WorkerSlot*> busy_;    // have unanswered tasks
  std::vector<WorkerSlot*> idle_;    // have none: the last one to become idle is the first to be fed
  std::vector<WorkerSlot*> hungry_;  // have some, but not for long
  std::vector<WorkerSlot*> bells_;
  ParcelQueue pending_;
  std::vector<Parcel*> returned_;  // taken back, in order; on their way to the front of pending_
  std::uint64_t outstanding_ = 0;  // accepted and not answered
  std::uint64_t next_epoch_ = 1;
  std::uint32_t sleep_epoch_ = 0;
  unsigned absent_ = 0;         // slots without a worker
  unsigned failed_starts_ = 0;  // in a row
  unsigned streaming_ = 0;      // workers with something outgoing
  unsigned blocked_ = 0;
  unsigned controls_ = 0;  // control frames that are not written yet
  std::int64_t first_failure_ns_ = 0;
  unsigned rounds_ = 0;
  unsigned offers_ = 0;
  std::int64_t spin_ns_ = 20'000;
  const bool membarrier_;
  bool stopping_ = false;
  bool news_ = false;
  bool fed_ = false;
  bool input_is_next_ = false;  // a posted task was sent last: it is the turn of mine_'s input
  bool refused_ = false;        // the last start that was attempted
  std::int64_t last_death_ns_ = INT64_MIN / 2;
  std::exception_ptr broken_;
  Job* mine_ = nullptr;  // the job of the thread that owns the dispatcher now
  std::atomic<bool> attention_{false};
  std::atomic<bool> ended_{false};
  std::deque<WorkerEvent> later_;  // events that were read while one of them was looked for
  std::vector<Job*> failing_;      // a task failed, and those after it are not wanted any more
};

}  // namespace brood::engine
