// Starting workers, burying the dead, and taking tasks back.
#include <algorithm>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "os/membarrier.hpp"
#include "pool/dispatcher.hpp"
#include "wire/exit_text.hpp"

namespace brood::engine {
namespace {

// The first restart after a worker that had worked is at once; after starts that failed in a row they wait, longer each
// time, so that a program that cannot start workers is not a storm of forks.
constexpr std::int64_t kFirstDelayNs = 10'000'000;
constexpr std::int64_t kLongestDelayNs = 1'000'000'000;
constexpr unsigned kMostFailedStarts = 8;
constexpr unsigned kMostFailedInitializers = 4;
constexpr std::int64_t kGivingUpNs = 250'000'000;
// How long a worker may be at one task before what waits behind it is given to those who have nothing.
constexpr std::int64_t kStuckNs = 200'000;
// Estimated work that is shared with those who have nothing even if its holder gets on with it.
constexpr double kWorthSharingNs = 300'000;

std::int64_t restart_delay(unsigned failures) {
  return failures == 0 ? 0 : std::min(kFirstDelayNs << std::min(failures - 1, 10U), kLongestDelayNs);
}

}  // namespace

void Dispatcher::begin_worker(WorkerSlot& worker) {
  worker.epoch = next_epoch_++;
  worker.next_sequence = 1;
  worker.answered = 0;
  worker.load_ns = 0;
  worker.pid = 0;
  worker.defined.clear();
  worker.revoked_from = channel::kNeverRevoked;
  worker.observed_taken = 0;
  worker.observed_at_ns = 0;
  worker.incoming = worker.unfenced = worker.coarse = false;
  worker.in_values = false;
  worker.seen_busy_ns = worker.seen_timed_tasks = worker.wake_at = 0;
  worker.started_ns = os::now_ns();
  worker.control.push_back({wire::FrameKind::init, options_.initializer});
  try {
    worker.link = backend_.start(worker.slot, worker.epoch);
  } catch (const std::system_error& error) {
    worker.control.clear();
    schedule_restart(worker, false, error.what());
    return;
  } catch (...) {
    worker.control.clear();
    throw;
  }
  worker.life = WorkerSlot::Life::alive;
  --absent_;
  ++controls_;
  send_control(worker);
}

bool Dispatcher::look_after_workers() {
  if (ended()) return false;
  bool any = false;
  while (!later_.empty()) {
    const WorkerEvent event = later_.front();
    later_.pop_front();
    handle_event(event);
    any = true;
  }
  while (auto event = backend_.next_event()) {
    any = true;
    handle_event(*event);
  }
  if (absent_ > 0) any |= restart_due();
  return any;
}

void Dispatcher::handle_event(const WorkerEvent& event) {
  WorkerSlot& worker = *workers_.at(event.slot);
  if (event.epoch != worker.epoch || worker.life == WorkerSlot::Life::absent) return;
  switch (event.kind) {
    case WorkerEvent::Kind::started:
      worker.pid = event.pid;
      refused_ = false;
      return;
    case WorkerEvent::Kind::not_started:
      bury(worker, {});
      worker.restart_at_ns = 0;
      refused_ = true;
      return schedule_restart(worker, false, std::system_error(event.error, std::generic_category(), "fork").what());
    case WorkerEvent::Kind::ended: {
      const bool was_ready =
          worker.link->words().state.load(std::memory_order_acquire) != channel::WorkerState::starting;
      bury(worker, event.status);
      ++worker.restarts;
      last_death_ns_ = os::now_ns();
      return schedule_restart(worker, was_ready,
                              "worker " + std::to_string(event.pid) + " " + wire::exit_text(event.status.code));
    }
  }
}

// "In a row": no worker became ready in between, and none is.
void Dispatcher::schedule_restart(WorkerSlot& worker, bool was_ready, const std::string& how_it_ended) {
  const std::int64_t now_ns = os::now_ns();
  const bool any_ready =
      was_ready || std::any_of(workers_.begin(), workers_.end(), [](const auto& other) {
        return other->life == WorkerSlot::Life::alive &&
               other->link->words().state.load(std::memory_order_acquire) == channel::WorkerState::ready;
      });
  failed_starts_ = was_ready ? 0 : failed_starts_ + 1;
  if (any_ready || failed_starts_ == 1) first_failure_ns_ = now_ns;
  worker.restart_at_ns = now_ns + restart_delay(failed_starts_);
  const bool initializing = options_.initializer != nullptr;
  if (any_ready || failed_starts_ < (initializing ? kMostFailedInitializers : kMostFailedStarts)) return;
  if (now_ns - first_failure_ns_ < kGivingUpNs) return;
  break_pool(std::make_exception_ptr(ProcessError(std::string("the pool gave up starting workers: ") +
                                                  (initializing ? "they end in the initializer" : "they end at once") +
                                                  " (" + std::to_string(failed_starts_) +
                                                  " times in a row; the last one: " + how_it_ended + ")")));
}

bool Dispatcher::restart_due() {
  if (stopping_ || broken_) return false;
  bool any = false;
  for (const auto& worker : workers_) {
    if (worker->life != WorkerSlot::Life::absent || os::now_ns() < worker->restart_at_ns) continue;
    begin_worker(*worker);
    any = true;
  }
  return any;
}

// A worker is dead. What it committed is taken; the task that its ledger shows as begun is answered with WorkerDied (or
// tried again); everything else it had goes to others as if it had never been sent.
void Dispatcher::bury(WorkerSlot& worker, const os::ExitStatus& status) {
  drain(worker);
  leave_lanes(worker);
  worker.life = WorkerSlot::Life::absent;
  ++absent_;
  worker.max_rss_kib = std::max(worker.max_rss_kib, status.max_rss_kib);
  worker.busy_ns = worker.total_busy_ns();
  if (std::exchange(worker.blocked, false)) --blocked_;
  controls_ -= static_cast<unsigned>(worker.control.size());
  worker.control.clear();
  if (worker.outgoing != nullptr) end_stream(worker);
  // One task, unless the worker's memory was damaged: whatever may have begun must not run again.
  const std::uint64_t taken = worker.link->words().taken.load(std::memory_order_acquire);
  for (; !worker.sent.empty(); worker.sent.pop()) {
    Sent& sent = worker.sent.front();
    const std::uint32_t end = sent.count - sent.reclaimed;
    std::uint32_t item = sent.answered;
    for (; item < end && sent.sequence + item <= taken; ++item) answer_dead(worker, sent, item, status.code);
    if (item < end) give_back(worker, sent, item, end - item);
    if (sent.parcel != nullptr) release(sent.parcel);
  }
  requeue_returned();
  worker.link.reset();
  worker.next_sequence = 1;
  worker.answered = 0;
  worker.load_ns = 0;
  if (worker.in_busy) {
    worker.in_busy = false;
    std::erase(busy_, &worker);
    page_.words().busy_workers.store(static_cast<std::uint32_t>(busy_.size()), std::memory_order_relaxed);
  }
}

// Whether a frame's bytes are still what was written: they are unless a damaged position made us write over them.
bool Dispatcher::intact(const WorkerSlot& worker, const Sent& sent) const noexcept {
  const auto& ring = worker.link->tasks;
  return sent.parcel != nullptr || ring.position() - (sent.payload_at - sizeof(wire::FrameHeader)) <= ring.capacity();
}

void Dispatcher::answer_dead(WorkerSlot& worker, Sent& sent, std::uint32_t item, int exitcode) {
  if (sent.job == nullptr) return;
  Job& job = *sent.job;
  if (sent.attempt < job.retries && intact(worker, sent)) {
    ++sent.attempt;
    give_back(worker, sent, item, 1);
    --sent.attempt;
    return;
  }
  const std::uint64_t index = sent.first + item;
  std::exception_ptr error;
  try {
    error = std::make_exception_ptr(WorkerDied(worker.pid, exitcode, index));
  } catch (...) {
    error = std::current_exception();
  }
  give_error(job, index, std::move(error));
  count_answers(job);
}

// Tasks that were sent and have not begun return, in so many parts.
void Dispatcher::give_back(WorkerSlot& worker, Sent& sent, std::uint32_t from, std::uint32_t count,
                           std::uint32_t shares) {
  if (sent.job == nullptr) return;
  const std::uint32_t step = std::max(1U, count / shares);
  std::uint32_t done = 0;
  std::exception_ptr error;
  try {
    if (!intact(worker, sent)) throw WorkerDied(worker.pid, 0, sent.first + from);
    for (; done < count; done += std::min(step, count - done)) {
      returned_.push_back(nullptr);
      returned_.back() = copy_from_ring(worker, sent, from + done, std::min(step, count - done));
    }
    return;
  } catch (...) {  // no memory for the copy, or nothing to copy from: an answer it must have
    error = std::current_exception();
  }
  if (!returned_.empty() && returned_.back() == nullptr) returned_.pop_back();
  Job& job = *sent.job;
  for (; done < count; ++done) {
    give_error(job, sent.first + from + done, error);
    count_answers(job);
  }
}

void Dispatcher::requeue_returned() {
  while (!returned_.empty()) {
    Parcel* const parcel = returned_.back();
    returned_.pop_back();
    requeue(parcel);
  }
}

void Dispatcher::requeue(Parcel* parcel) {
  Job& job = *parcel->job;
  if (!job.withdrawn && parcel->first < job.error_bound) return pending_.push_front(parcel);
  drop_parcel(parcel);
}

// Takes the job's tasks that have not begun back from the workers.
void Dispatcher::withdraw(Job& job) {
  for (WorkerSlot* const worker : busy_) {
    if (worker->life != WorkerSlot::Life::alive || worker->revoked_from != channel::kNeverRevoked) continue;
    if (worker->outgoing != nullptr) continue;
    for (std::size_t i = 0; i < worker->sent.size(); ++i) {
      if (worker->sent[i].job != &job) continue;
      revoke(*worker);
      break;
    }
  }
}

// What comes after a failed task of a job that ends with its first error need not run.
void Dispatcher::drop_failing() {
  while (!failing_.empty()) {
    Job* const job = failing_.back();
    failing_.pop_back();
    const std::uint64_t bound = job->error_bound;
    ParcelQueue kept;
    ParcelQueue dropped;
    while (Parcel* const parcel = pending_.pop()) {
      (parcel->job == job && parcel->first >= bound ? dropped : kept).push(parcel);
    }
    pending_.append(kept);
    withdraw(*job);  // what comes back is dropped there; with the last of it the job may be gone
    while (Parcel* const parcel = dropped.pop()) drop_parcel(parcel);
  }
}

// The bytes of tasks that were sent. They are still in the ring: the worker frees a frame only when all of it is
// answered, and the worker cannot write there.
Parcel* Dispatcher::copy_from_ring(WorkerSlot& worker, Sent& sent, std::uint32_t from, std::uint32_t count) {
  auto parcel = std::make_unique<Parcel>();
  parcel->job = sent.job;
  parcel->first = sent.first + from;
  parcel->count = count;
  parcel->attempt = sent.attempt;
  parcel->item_bytes = sent.item_bytes;
  if (sent.parcel != nullptr) {  // one large task
    parcel->take_payload(*sent.parcel);
    return parcel.release();
  }
  const std::byte* const payload = worker.link->tasks.at(sent.payload_at);
  const std::size_t size = static_cast<std::size_t>(sent.payload_bytes);
  std::size_t at = 0;
  const auto skip = [&](std::uint32_t items) {
    if (sent.item_bytes > 0) {
      at += std::size_t{items} * sent.item_bytes;
      return;
    }
    for (std::uint32_t i = 0; i < items && at + sizeof(std::uint32_t) <= size; ++i) {
      std::uint32_t length = 0;
      std::memcpy(&length, payload + at, sizeof length);
      at += sizeof length;
      at = length == wire::kRestOfFrame || length > size - at ? size : at + length;
    }
  };
  skip(from);
  const std::size_t begin = at;
  skip(count);
  parcel->own(std::vector<std::byte>(payload + begin, payload + at));
  return parcel.release();
}

// Some workers have nothing to do while others have tasks that they have not begun: those move over, if their holder
// has been at one task for a while.
bool Dispatcher::take_back() {
  if (idle_.empty() || busy_.empty() || !pending_.empty() || stopping_) return false;
  const std::int64_t now_ns = os::now_ns();
  bool any = false;
  for (WorkerSlot* const worker : busy_) {
    if (worker->life != WorkerSlot::Life::alive || worker->outstanding() < 2) continue;
    if (worker->revoked_from != channel::kNeverRevoked || worker->outgoing != nullptr) continue;
    const std::uint64_t taken = worker->link->words().taken.load(std::memory_order_acquire);
    if (taken != worker->observed_taken || worker->observed_at_ns == 0) {
      worker->observed_taken = taken;
      worker->observed_at_ns = now_ns;
    }
    const bool stuck = now_ns - worker->observed_at_ns >= kStuckNs && taken + 1 < worker->next_sequence;
    if (stuck || worker->load_ns > kWorthSharingNs) {
      revoke(*worker);
      any = true;
    }
  }
  return any;
}

void Dispatcher::revoke(WorkerSlot& worker) {
  channel::Words& words = worker.link->words();
  const std::uint64_t from = std::max(words.taken.load(std::memory_order_acquire), worker.answered) + 1;
  words.revoke_from.store(from, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (worker.unfenced) os::membarrier();
  // Whatever the ledger shows now may have been begun before the worker could see the line above. What lies beyond it
  // cannot: the worker stores its ledger first and looks at `revoke_from` second.
  const std::uint64_t may_have_begun = words.taken.load(std::memory_order_acquire);
  worker.revoked_from = from;
  worker.observed_at_ns = 0;
  leave_lanes(worker);
  const std::uint32_t shares = static_cast<std::uint32_t>(idle_.size()) + 1;
  for (std::size_t i = 0; i < worker.sent.size(); ++i) {
    Sent& sent = worker.sent[i];
    const std::uint64_t end = sent.sequence + sent.count;  // one past the last
    if (end <= may_have_begun + 1 || sent.parcel != nullptr) continue;
    const std::uint64_t first = std::max(sent.sequence + sent.answered, may_have_begun + 1);
    const std::uint32_t count = static_cast<std::uint32_t>(end - first);
    if (count == 0) continue;
    give_back(worker, sent, static_cast<std::uint32_t>(first - sent.sequence), count, shares);
    sent.reclaimed = count;
    worker.load_ns -= static_cast<double>(sent.task_ns) * count;
  }
  requeue_returned();
}

void Dispatcher::end_revocation(WorkerSlot& worker) {
  worker.revoked_from = channel::kNeverRevoked;
  worker.link->words().revoke_from.store(channel::kNeverRevoked, std::memory_order_seq_cst);
}

void Dispatcher::kill(WorkerSlot& worker) noexcept {
  worker.life = WorkerSlot::Life::ending;
  leave_lanes(worker);
  backend_.kill(worker.slot);
}

void Dispatcher::break_pool(const std::exception_ptr& error) {
  if (broken_) return;
  broken_ = error;
  fail_all(error);
}

}  // namespace brood::engine
