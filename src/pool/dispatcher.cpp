#include "pool/dispatcher.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "os/clock.hpp"
#include "os/cpu.hpp"
#include "os/membarrier.hpp"
#include "os/poll.hpp"

namespace brood::engine {
namespace {

// The backend is asked for news once in so many rounds when there is other work; always before sleeping.
constexpr unsigned kRoundsBetweenLooks = 256;
constexpr std::int64_t kLongestSpinNs = 50'000;
// More than the replacement of a worker takes.
constexpr std::int64_t kReplacementNs = 1'000'000;
constexpr std::int64_t kShortestSpinNs = 2'000;
constexpr unsigned kOffersBetweenSteps = 16;
// How soon to look again at workers that hold tasks which others could have.
constexpr std::int64_t kShareAlarmNs = 250'000;

bool has_room(const WorkerSlot& worker) {
  auto& ring = worker.link->tasks;
  return ring.damaged() || ring.window(ring.capacity() / 8).size() >= ring.capacity() / 8;
}

// The job of the caller, for one call; it may be gone after that, also when the call ends with an exception.
class ForThisCall {
 public:
  ForThisCall(Job*& place, Job* job) noexcept : place_(place) { place_ = job; }
  ForThisCall(const ForThisCall&) = delete;
  ForThisCall& operator=(const ForThisCall&) = delete;
  ~ForThisCall() { place_ = nullptr; }

 private:
  Job*& place_;
};

// Whether the worker has something for the dispatcher that it would ring for.
bool calls(const WorkerSlot& worker) {
  if (worker.life != WorkerSlot::Life::alive) return false;
  if (worker.outgoing != nullptr && has_room(worker)) return true;
  if (!worker.link->results.ready()) return false;
  if (!worker.coarse) return true;
  const channel::Words& words = worker.link->words();
  return words.taken.load(std::memory_order_relaxed) >= worker.wake_at ||
         words.sleep.load(std::memory_order_relaxed) != channel::Sleep::awake;
}

}  // namespace

Dispatcher::Dispatcher(const DispatcherOptions& options, Backend& backend, channel::PoolPage& page, os::Event& doorbell,
                       std::function<void(Job&)> on_done, std::function<void()> on_news)
    : options_(options),
      backend_(backend),
      page_(page),
      doorbell_(doorbell),
      on_done_(std::move(on_done)),
      on_news_(std::move(on_news)),
      membarrier_(os::register_membarrier()) {
  page_.words().cpus.store(options.cpus, std::memory_order_relaxed);
  for (unsigned slot = 0; slot < options.processes; ++slot) {
    workers_.push_back(std::make_unique<WorkerSlot>());
    workers_.back()->slot = slot;
  }
  absent_ = options.processes;
  for (auto* list : {&busy_, &idle_, &hungry_, &bells_}) list->reserve(options.processes);
}

Dispatcher::~Dispatcher() {
  for (const auto& worker : workers_) {
    for (; !worker->sent.empty(); worker->sent.pop()) {
      if (worker->sent.front().parcel != nullptr) release(worker->sent.front().parcel);
    }
    if (worker->outgoing != nullptr && worker->outgoing_is_ours) release(worker->outgoing);
  }
}

void Dispatcher::start() {
  for (const auto& worker : workers_) {
    begin_worker(*worker);
    ring_bells();
  }
}

void Dispatcher::accept(Parcel* parcel) {
  Job& job = *parcel->job;
  job.accepted += parcel->count;
  outstanding_ += parcel->count;
  if (parcel->last) job.closed = true;
  if (parcel->count > 0) return pending_.push(parcel);
  if (parcel->posted) note_departure(job);
  release(parcel);
  end_if_done(job);
}

void Dispatcher::offer(Job& job) {
  // Looking for answers after each of many small calls would cost more than the calls.
  if ((idle_.empty() && hungry_.empty()) || ++offers_ % kOffersBetweenSteps == 0) step(nullptr);
  const ForThisCall guard(mine_, &job);
  if (pending_.empty()) feed();
}

bool Dispatcher::step(Job* mine) {
  const ForThisCall guard(mine_, mine);
  bool moved = false;
  for (std::size_t i = 0; i < busy_.size();) {
    WorkerSlot* const worker = busy_[i];
    moved |= drain(*worker);
    if (i < busy_.size() && busy_[i] == worker) ++i;
  }
  if (!failing_.empty()) drop_failing();
  fed_ = feed();
  if (!idle_.empty() && !busy_.empty() && take_back()) fed_ |= feed();
  moved |= fed_;
  if (absent_ > 0 || ++rounds_ % kRoundsBetweenLooks == 0) moved |= look_after_workers();
  if (news_) {
    news_ = false;
    on_news_();
  }
  return moved;
}

void Dispatcher::rest(Job* mine, os::Deadline deadline) {
  const ForThisCall guard(mine_, mine);
  const auto something_came = [&] {
    if (attention_.load(std::memory_order_relaxed) || !later_.empty()) return true;
    if (blocked_ > 0 && unblock()) return true;
    // A definition streams to a worker that has no task, and so is not among the busy ones.
    if (streaming_ > 0 && std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
          return worker->outgoing != nullptr && worker->life == WorkerSlot::Life::alive && has_room(*worker);
        })) {
      return true;
    }
    return std::any_of(busy_.begin(), busy_.end(), [](const WorkerSlot* worker) { return calls(*worker); });
  };
  const bool coarse = std::any_of(busy_.begin(), busy_.end(), [](const WorkerSlot* worker) { return worker->coarse; });
  if (coarse) set_wake_points();
  if (!busy_.empty() && busy_.size() < options_.cpus) {
    // A stream is at work on the other side: it will not be long.
    const bool streams = streaming_ > 0 || std::any_of(busy_.begin(), busy_.end(),
                                                       [](const WorkerSlot* worker) { return worker->incoming; });
    const std::int64_t spin_ns = streams ? kLongestSpinNs : spin_ns_;
    const std::int64_t until_ns = std::min(os::now_ns() + spin_ns, deadline.at_ns());
    do {
      for (int i = 0; i < 32; ++i) {
        if (something_came()) {
          spin_ns_ = std::min(2 * spin_ns_, kLongestSpinNs);
          attention_.store(false, std::memory_order_relaxed);
          return;
        }
        os::cpu_relax();
      }
    } while (os::now_ns() < until_ns);
    spin_ns_ = std::max(spin_ns_ / 2, kShortestSpinNs);
  }
  if (options_.cpus > 1 && replaces()) {
    // A successor is on its way: each step of it takes less time than a sleep and a wake-up.
    const std::int64_t until_ns = std::min({os::now_ns() + kReplacementNs, deadline.at_ns(), next_alarm_ns()});
    while (!something_came() && !os::wait_readable(backend_.event_fd(), os::Deadline::at(0)) &&
           os::now_ns() < until_ns) {
      os::cpu_relax();
    }
  }
  if (!coarse) set_wake_points();
  // Whoever publishes after this store sees it and rings; whatever was published before is seen below.
  if (++sleep_epoch_ == 0) ++sleep_epoch_;
  page_.words().sleep_epoch.store(sleep_epoch_, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (std::any_of(busy_.begin(), busy_.end(), [](const WorkerSlot* worker) { return worker->unfenced; }))
    os::membarrier();
  if (!something_came()) {
    std::array<os::PollItem, 2> items{os::PollItem{.fd = doorbell_.fd()}, os::PollItem{.fd = backend_.event_fd()}};
    os::poll(items, os::Deadline::at(std::min(deadline.at_ns(), next_alarm_ns())));
    if (items[0].readable) doorbell_.clear();
  }
  page_.words().sleep_epoch.store(0, std::memory_order_relaxed);
  attention_.store(false, std::memory_order_relaxed);
  if (look_after_workers()) feed();
}

// Whether a worker died a moment ago and the one in its place has not begun yet.
bool Dispatcher::replaces() const noexcept {
  return os::now_ns() - last_death_ns_ < kReplacementNs && backend_.event_fd() >= 0 &&
         std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
           return worker->life == WorkerSlot::Life::alive &&
                  worker->link->words().state.load(std::memory_order_relaxed) == channel::WorkerState::starting;
         });
}

// Whether a worker that was blocked has released its ring, or can never do so.
bool Dispatcher::unblock() {
  bool any = false;
  for (const auto& worker : workers_) {
    if (!worker->blocked) continue;
    const bool alive = worker->life == WorkerSlot::Life::alive;
    if (alive && !worker->link->tasks.empty() && !worker->link->tasks.damaged()) continue;
    worker->blocked = false;
    --blocked_;
    if (alive && worker->outgoing == nullptr) worker->link->words().wants_space.store(0, std::memory_order_relaxed);
    update_lane(*worker);
    any = true;
  }
  return any;
}

// A worker whose answers are wanted one by one rings at the next one; one that works through a batch rings when it
// needs more, or at the end.
void Dispatcher::set_wake_points() {
  for (WorkerSlot* const worker : busy_) {
    const std::uint64_t at = worker->coarse ? worker->next_sequence - 1 - (has_source() ? worker->outstanding() / 4 : 0)
                                            : worker->answered + 1;
    if (worker->wake_at == at || worker->life != WorkerSlot::Life::alive) continue;
    worker->wake_at = at;
    worker->link->words().wake_at.store(at, std::memory_order_relaxed);
  }
}

std::int64_t Dispatcher::next_alarm_ns() const noexcept {
  std::int64_t alarm_ns = INT64_MAX;
  if (absent_ > 0 && !stopping_ && !broken_) {
    for (const auto& worker : workers_) {
      if (worker->life == WorkerSlot::Life::absent) alarm_ns = std::min(alarm_ns, worker->restart_at_ns);
    }
  }
  if (!idle_.empty() && pending_.empty()) {
    const bool shareable = std::any_of(busy_.begin(), busy_.end(), [](const WorkerSlot* worker) {
      return worker->outstanding() > 1 && worker->revoked_from == channel::kNeverRevoked;
    });
    if (shareable) alarm_ns = std::min(alarm_ns, os::now_ns() + kShareAlarmNs);
  }
  return alarm_ns;
}

void Dispatcher::fail_all(const std::exception_ptr& error) {
  for (const auto& worker : workers_) {
    if (worker->outgoing != nullptr && !worker->outgoing_is_ours) own_outgoing(*worker);
  }
  while (Parcel* const parcel = pending_.pop()) {
    if (parcel->job != nullptr) parcel->job->withdrawn = error;
    drop_parcel(parcel);
  }
  for (const auto& worker : workers_) {
    for (std::size_t i = 0; i < worker->sent.size(); ++i) {
      Sent& sent = worker->sent[i];
      Job* const job = std::exchange(sent.job, nullptr);
      for (std::uint32_t k = sent.answered; job != nullptr && k < sent.count - sent.reclaimed; ++k) {
        give_error(*job, sent.first + k, error);
        count_answers(*job);
      }
    }
  }
}

void Dispatcher::abandon(Job& job) {
  withdraw(job);
  std::erase(failing_, &job);
  ParcelQueue kept;
  while (Parcel* const parcel = pending_.pop()) {
    if (parcel->job != &job) {
      kept.push(parcel);
      continue;
    }
    outstanding_ -= parcel->count;
    release(parcel);
  }
  pending_.append(kept);
  for (const auto& worker : workers_) {
    for (std::size_t i = 0; i < worker->sent.size(); ++i) {
      Sent& sent = worker->sent[i];
      if (sent.job != &job) continue;
      sent.job = nullptr;
      outstanding_ -= sent.count - sent.answered - sent.reclaimed;
      if (sent.parcel != nullptr && sent.parcel == worker->outgoing) own_outgoing(*worker);
    }
  }
}

std::uint64_t Dispatcher::cancel(Job& job, const std::exception_ptr& error) {
  withdraw(job);
  job.withdrawn = error;
  std::uint64_t cancelled = 0;
  ParcelQueue kept;
  ParcelQueue dropped;
  while (Parcel* const parcel = pending_.pop()) (parcel->job == &job ? dropped : kept).push(parcel);
  pending_.append(kept);
  while (Parcel* const parcel = dropped.pop()) {
    cancelled += parcel->count;
    drop_parcel(parcel);
  }
  return cancelled;
}

void Dispatcher::close(Job& job) {
  if (job.closed) return;
  job.closed = true;
  end_if_done(job);
}

void Dispatcher::stop_workers() {
  stopping_ = true;
  for (const auto& worker : workers_) {
    if (worker->life != WorkerSlot::Life::alive) continue;
    leave_lanes(*worker);
    worker->control.push_back({wire::FrameKind::stop, options_.finalizer});
    ++controls_;
    send_control(*worker);
  }
  ring_bells();
}

bool Dispatcher::all_started() const noexcept {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->life == WorkerSlot::Life::alive && worker->pid != 0; });
}

}  // namespace brood::engine
