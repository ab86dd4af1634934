#include "pool/engine.hpp"

#include <brood/process.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "os/large_buffer.hpp"
#include "pool/local_backend.hpp"

namespace brood::engine {
namespace {

using namespace std::chrono_literals;

// A thread that waits for a whole batch looks up this often, so that progress is shown.
constexpr std::int64_t kLookUpNs = 100'000'000;
// The deadline is checked once in so many rounds while there is work.
constexpr unsigned kRoundsBetweenClocks = 64;
constexpr channel::RingSizes kRingSizes;

std::unique_ptr<Backend> make_local_backend(const PoolOptions& options, int page_fd, int doorbell_fd) {
  const StartMethod method = options.start_method.value_or(get_start_method());
  return std::make_unique<LocalBackend>(kRingSizes, method, page_fd, doorbell_fd);
}

DispatcherOptions dispatcher_options(const PoolOptions& options, unsigned processes, Functions& functions) {
  DispatcherOptions out;
  out.processes = processes;
  static const unsigned cpus = os::cpu_count();  // for spinning only, and asking takes a dozen system calls
  out.cpus = cpus;
  if (options.initializer)
    out.initializer = functions.obtain(options.initializer.record(), options.initializer.state());
  if (options.finalizer) out.finalizer = functions.obtain(options.finalizer.record(), options.finalizer.state());
  return out;
}

unsigned processes_of(const PoolOptions& options) {
  constexpr unsigned kMost = 4096;
  if (options.processes > kMost) {
    throw ProcessError("PoolOptions::processes is " + std::to_string(options.processes) + "; the most is " +
                       std::to_string(kMost));
  }
  if (options.max_tasks_per_child != 0 || options.max_memory_per_child != 0) {
    throw ProcessError("PoolOptions: max_tasks_per_child and max_memory_per_child are not available yet");
  }
  return options.processes == 0 ? os::cpu_count() : options.processes;
}

}  // namespace

Engine::Engine(const PoolOptions& options) : Engine(options, &make_local_backend) {}

Engine::Engine(const PoolOptions& options, MakeBackend make_backend)
    : processes_(processes_of(options)),
      generation_(os::fork_generation()),
      page_memory_(channel::make_pool_memory()),
      page_(page_memory_.get()),
      backend_(make_backend(options, page_memory_.get(), doorbell_.fd())),
      dispatcher_(std::make_unique<Dispatcher>(
          dispatcher_options(options, processes_, functions_), *backend_, page_, doorbell_,
          [this](Job& job) { job_done(job); }, [this] { wake_waiters(); })),
      interrupts_(doorbell_.fd()) {
  wire::set_large_advice(&os::advise_huge_pages);
  dispatcher_->start();
}

Engine::~Engine() {
  if (!joined_.load()) backend_->terminate();
  end_service();
}

void Engine::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  // In a forked child there is nothing to end: its threads do not exist and the workers are not its own.
  if (generation_ == os::fork_generation()) delete this;
}

void Engine::check_usable(const char* verb) const {
  if (generation_ != os::fork_generation()) {
    throw ProcessError(std::string("Pool::") + verb +
                       "(): this process is a forked child of the one that made the pool; make a pool of its own here");
  }
  if (driver_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    throw ProcessError(std::string("Pool::") + verb +
                       "(): called from code that reads or writes a task's values for this very pool; an input that "
                       "uses the pool must be a single-pass range (a stream, a generator)");
  }
}

void Engine::check_open(const char* verb) const {
  check_usable(verb);
  if (closed_.load(std::memory_order_relaxed) || ended_.load(std::memory_order_relaxed)) {
    throw ProcessError(std::string("Pool::") + verb + "(): the pool was " + (ended_.load() ? "terminated" : "closed") +
                       " and takes no tasks any more");
  }
}

void Engine::prepare(Job& job, const char* verb) {
  check_open(verb);
  job.engine = this;
  job.known = functions_.obtain(job.function);
}

// --- the turn -----------------------------------------------------------------------------------------------------

bool Engine::try_turn() noexcept {
  if (turn_.load(std::memory_order_relaxed) || turn_.exchange(true, std::memory_order_seq_cst)) return false;
  driver_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  turns_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Engine::end_turn() noexcept {
  for (;;) {
    driver_.store(std::thread::id{}, std::memory_order_relaxed);
    turn_.store(false, std::memory_order_seq_cst);
    wake_waiters();
    // Whoever posted and did not get the turn relies on its holder.
    if (!has_posted_.load(std::memory_order_seq_cst) || !try_turn()) return;
    try {
      take_posted();
      dispatcher_->step(nullptr);
    } catch (...) {
      // What was posted is accepted: whoever drives next meets what is wrong.
    }
  }
}

void Engine::wake_waiters() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // after whatever they wait for
  if (waiters_.load(std::memory_order_seq_cst) == 0) return;
  const std::lock_guard lock(mutex_);
  cv_.notify_all();
}

void Engine::interrupt_rest() noexcept {
  if (resting_.load(std::memory_order_seq_cst)) dispatcher_->interrupt();
}

// The turn for a short visit: whoever drives makes room.
void Engine::visit(const char* verb) {
  check_usable(verb);
  if (try_turn()) return;
  visitors_.fetch_add(1, std::memory_order_seq_cst);
  interrupt_rest();
  std::unique_lock lock(mutex_);
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  cv_.wait(lock, [this] { return try_turn(); });
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  visitors_.fetch_sub(1, std::memory_order_seq_cst);
}

// Lets them have the turn, and takes it again.
void Engine::yield_to_visitors() {
  end_turn();
  std::unique_lock lock(mutex_);
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  cv_.wait(lock, [this] { return visitors_.load(std::memory_order_seq_cst) == 0 && try_turn(); });
  waiters_.fetch_sub(1, std::memory_order_relaxed);
}

Engine::Driven Engine::drive(Job* mine, Job* fed, os::Deadline deadline, const std::function<bool()>& until,
                             const os::InterruptibleCall* call) {
  for (unsigned rounds = 0;; ++rounds) {
    if (call != nullptr && call->interrupted()) throw_interrupted();
    if (has_posted_.load(std::memory_order_relaxed)) take_posted();
    settle(mine);
    if (fed != mine) settle(fed);
    if (until()) return Driven::there;
    const bool moved = dispatcher_->step(fed);
    if (until()) return Driven::there;
    if (visitors_.load(std::memory_order_relaxed) > 0) return Driven::visited;
    // Answers of a batch are let gather: taking each as it comes would slow the worker that writes them.
    const bool gathers = mine != nullptr && !mine->each && mine == fed && !dispatcher_->fed();
    if (moved && !gathers) {
      if (rounds % kRoundsBetweenClocks == 0 && deadline.passed()) return Driven::too_late;
      continue;
    }
    if (deadline.passed()) return Driven::too_late;
    resting_.store(true, std::memory_order_seq_cst);
    const bool wanted = has_posted_.load(std::memory_order_seq_cst) || ended_.load(std::memory_order_seq_cst) ||
                        visitors_.load(std::memory_order_seq_cst) > 0 || (call != nullptr && call->interrupted());
    if (!wanted && !until()) {
      const bool looks_up = mine != nullptr && !mine->each;
      dispatcher_->rest(fed,
                        looks_up ? os::Deadline::at(std::min(deadline.at_ns(), os::now_ns() + kLookUpNs)) : deadline);
    }
    resting_.store(false, std::memory_order_relaxed);
  }
}

void Engine::throw_interrupted() {
  os::InterruptibleCall::reported();
  throw Interrupted("interrupted by SIGINT while waiting for the pool");
}

// Closes a job whose input has ended, and gives up on what can have no answer any more.
void Engine::settle(Job* mine) {
  const bool ended = ended_.load(std::memory_order_relaxed);
  if (mine != nullptr && mine->stopped.load(std::memory_order_relaxed)) mine->input_done = true;
  if (mine != nullptr && mine->input_done) dispatcher_->close(*mine);
  const bool stopping = dispatcher_->stopping() || joined_.load(std::memory_order_relaxed);
  if (!ended && !dispatcher_->broken() && !stopping) return;
  std::exception_ptr error = dispatcher_->broken();
  if (ended || !error) {
    error = std::make_exception_ptr(Cancelled(ended ? "the pool was terminated" : "the pool had ended already"));
  }
  if (dispatcher_->outstanding() > 0) dispatcher_->fail_all(error);
  if (mine == nullptr || mine->closed) return;
  if (!mine->input_done) mine->input_error = error;
  mine->input_done = true;
  dispatcher_->close(*mine);
}

void Engine::take_posted() {
  ParcelQueue all;
  {
    const std::lock_guard lock(mutex_);
    all.append(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
  }
  while (Parcel* const parcel = all.pop()) dispatcher_->accept(parcel);
}

void Engine::post(Parcel* parcel) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push(parcel);
    has_posted_.store(true, std::memory_order_seq_cst);
  }
  interrupt_rest();
}

// --- calls that wait ------------------------------------------------------------------------------------------------

// Works for `job`, or sleeps while another thread does, until it is satisfied. False: the time is over.
bool Engine::work(Job& job, os::Deadline deadline) {
  const os::InterruptibleCall call;
  const bool feeds = job.ops->finished == nullptr;  // otherwise its input was written when it was submitted
  const bool apart = feeds && job.apart;
  const auto satisfied = [&job] { return job.ops->satisfied(job); };
  const auto until = [this, &job] { return job.ops->satisfied(job) || can_read(job, true); };
  for (;;) {
    const bool wrote = apart && read_apart(job, !satisfied());
    // Visitors go first: they want the turn for a moment only.
    if (visitors_.load(std::memory_order_seq_cst) == 0 && try_turn()) {
      const Turn turn(*this);
      Job* const fed = apart ? fed_in_turn(job) : feeds ? &job : nullptr;
      if (wrote) {
        take_posted();
        dispatcher_->step(fed);
      }
      const Driven driven = apart ? drive(&job, fed, deadline, until, &call)
                                  : drive(feeds ? &job : nullptr, fed, deadline, satisfied, &call);
      if (apart) {
        for (Job* j = &job; j != nullptr; j = source_of(*j)) j->task_ns.store(j->known->task_ns);
      }
      if (driven == Driven::too_late) return false;
      if (driven == Driven::there && (!apart || satisfied())) return true;
    }
    if (satisfied()) return true;
    if (call.interrupted()) throw_interrupted();
    if (deadline.passed()) return false;
    Job* const writes = apart ? fed_in_turn(job) : feeds ? &job : nullptr;
    if (writes != nullptr && has_room(*writes) && turn_.load()) {
      post_input(*writes);
      continue;
    }
    std::unique_lock lock(mutex_);
    waiters_.fetch_add(1, std::memory_order_seq_cst);
    if (service_drives_.load(std::memory_order_seq_cst)) interrupt_rest();
    const bool taken = turn_.load(std::memory_order_seq_cst) || visitors_.load(std::memory_order_seq_cst) > 0;
    // What was seen above may have changed before this thread could be notified of it.
    const bool may_write = (writes != nullptr && has_room(*writes)) || (apart && can_read(job, true));
    if (taken && !satisfied() && !may_write) {
      if (deadline.is_never()) {
        cv_.wait(lock);
      } else {
        cv_.wait_for(lock, std::chrono::nanoseconds(deadline.remaining_ns()));
      }
    }
    waiters_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void Engine::run(Job& job, const char* verb) {
  const Stay stay(*this);
  prepare(job, verb);
  try {
    work(job, os::Deadline::never());
  } catch (...) {
    drop(job);
    throw;
  }
  functions_.release(job.known);
  if (job.input_error && !job.stopped.load(std::memory_order_relaxed)) std::rethrow_exception(job.input_error);
}

void Engine::open(Job& job, const char* verb) { prepare(job, verb); }

bool Engine::advance(Job& job, os::Deadline deadline) {
  check_usable("imap");
  const bool there = work(job, deadline);
  bool any = false;
  for (Job* j = &job; j != nullptr; j = source_of(*j)) any |= goes_on(*j);
  if (any) {
    if (try_turn()) end_turn();
    start_service();
  }
  return there;
}

// The memory of a job that feeds ends: nothing may point to it any more.
void Engine::drop(Job& job) noexcept {
  if (generation_ != os::fork_generation()) return;
  try {
    visit("imap");
    const Turn turn(*this);
    take_posted();
    dispatcher_->abandon(job);
  } catch (const ProcessError&) {
    // From within the engine itself, by exit() in a task's value: the process ends.
    return;
  }
  functions_.release(std::exchange(job.known, nullptr));
  if (job.counted) open_jobs_.fetch_sub(1, std::memory_order_relaxed);
}

bool Engine::wait(Job& job, os::Deadline deadline) {
  if (job.done.load(std::memory_order_acquire)) return true;
  check_usable("wait");
  return work(job, deadline);
}

// --- calls that do not wait -----------------------------------------------------------------------------------------

void Engine::submit(Job& job, const char* verb) {
  const Stay stay(*this);
  check_open(verb);
  ensure_service();
  prepare(job, verb);
  engine::retain(job);
  open_jobs_.fetch_add(1, std::memory_order_relaxed);
  const bool single = job.total_known && job.total == 1 && !job.apart;
  bool written = false;
  if (single && try_turn()) {
    const Turn turn(*this);
    try {
      take_posted();
      dispatcher_->offer(job);
    } catch (...) {
      // If the task has been accepted, whoever drives next meets what is wrong; if it was written and not accepted, it
      // is lost, and the caller must know.
      if (job.input_done && job.accepted == 0 && !job.done.load(std::memory_order_relaxed)) {
        open_jobs_.fetch_sub(1, std::memory_order_relaxed);
        functions_.release(std::exchange(job.known, nullptr));
        engine::release(job);
        throw;
      }
    }
    written = job.input_done;
  }
  if (job.input_error) std::rethrow_exception(job.input_error);  // serialize() threw: the job has ended by that
  if (!written) submit_parcels(job, single);
  start_service();
}

// In the thread that drives. After this a job that belongs to another thread may be gone.
void Engine::job_done(Job& job) {
  const bool submitted = job.ops->finished != nullptr;
  if (submitted) {
    functions_.release(std::exchange(job.known, nullptr));
    open_jobs_.fetch_sub(1, std::memory_order_relaxed);
  }
  job.done.store(true, std::memory_order_seq_cst);
  if (!submitted) return;
  if (job.wants_finish.load(std::memory_order_seq_cst)) call_when_done(job);
  engine::release(job);
}

void Engine::call_when_done(Job& job) {
  job.wants_finish.store(true, std::memory_order_seq_cst);
  if (!job.done.load(std::memory_order_seq_cst)) return;
  {
    std::unique_lock lock(mutex_);
    if (service_stop_) {  // the pool has ended, and with it the thread for callbacks
      lock.unlock();
      return job.ops->finished(job);
    }
    if (!job.due) {  // else finished() will find this callback, too
      job.due = true;
      job.next_due = nullptr;
      engine::retain(job);
      (last_due_ == nullptr ? first_due_ : last_due_->next_due) = &job;
      last_due_ = &job;
      has_callbacks_.store(true, std::memory_order_relaxed);
    }
    service_cv_.notify_one();
  }
  start_service();
}

bool Engine::cancel(Job& job) {
  if (job.done.load(std::memory_order_acquire)) return false;
  visit("cancel");
  const Turn turn(*this);
  take_posted();
  const std::uint64_t all = job.accepted;
  return dispatcher_->cancel(job, std::make_exception_ptr(Cancelled("the task was cancelled"))) == all && all > 0;
}

// --- what the templates call
// ------------------------------------------------------------------------------------------

namespace {
os::Deadline deadline_of(std::chrono::nanoseconds patience) {
  if (patience.count() < 0) return os::Deadline::never();
  return patience.count() == 0 ? os::Deadline::at(0) : os::Deadline::after(patience);
}
}  // namespace

EngineRef::EngineRef(const PoolOptions& options) : engine_(new Engine(options)) {}
EngineRef::EngineRef(const EngineRef& other) noexcept : engine_(other.engine_) {
  if (engine_ != nullptr) engine_->retain();
}
EngineRef::~EngineRef() {
  if (engine_ != nullptr) engine_->release();
}

void run(Engine& engine, Job& job, const char* verb) { engine.run(job, verb); }
void submit(Engine& engine, Job& job, const char* verb) { engine.submit(job, verb); }
void open(Engine& engine, Job& job, const char* verb) { engine.open(job, verb); }
bool advance(Engine& engine, Job& job, std::chrono::nanoseconds patience) {
  return engine.advance(job, deadline_of(patience));
}
void drop(Engine& engine, Job& job) noexcept { engine.drop(job); }
bool wait(Engine& engine, Job& job, std::chrono::nanoseconds patience) {
  return engine.wait(job, deadline_of(patience));
}
bool cancel(Engine& engine, Job& job) { return engine.cancel(job); }
void call_when_done(Engine& engine, Job& job) { engine.call_when_done(job); }
unsigned processes(const Engine& engine) noexcept { return engine.processes(); }
void close(Engine& engine, const char* verb) { engine.close(verb); }
void join(Engine& engine, const char* verb) { engine.join(verb); }
void terminate(Engine& engine) noexcept { engine.terminate(); }
std::vector<pid_t> pids(Engine& engine) { return engine.pids(); }
PoolStats stats(Engine& engine) { return engine.stats(); }
void leave(Engine& engine, bool unwinding) noexcept { engine.leave(unwinding); }

void retain(Job& job) noexcept { job.references.fetch_add(1, std::memory_order_relaxed); }
void release(Job& job) noexcept {
  if (job.references.fetch_sub(1, std::memory_order_acq_rel) == 1) job.ops->destroy(&job);
}

}  // namespace brood::engine
