// How answers come back from the workers.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "os/poll.hpp"
#include "pool/dispatcher.hpp"
#include "wire/exception.hpp"

namespace brood::engine {
namespace {

constexpr std::size_t kRecordBytes = sizeof(std::uint64_t);

// A new measurement counts for half: task times change along an input, and single values are noisy.
constexpr double kNewWeight = 0.5;

[[noreturn]] void bad_channel(const char* why) {
  throw ArchiveError(std::string("a worker's results are damaged: ") + why);
}

}  // namespace

bool Dispatcher::drain(WorkerSlot& worker) {
  if (worker.life != WorkerSlot::Life::alive || !worker.link->results.ready()) return false;
  Function* const function = worker.sent.empty() ? nullptr : worker.sent.front().function;
  try {
    auto& ring = worker.link->results;
    for (auto window = ring.window(); !window.empty(); window = ring.window()) {
      if (worker.incoming) {
        take_incoming(worker, window);
      } else {
        take_records(worker, window);
      }
      ring.release(worker.in_values ? worker.values_at : ring.position());
    }
    worker.link->wake();  // it may sleep for room
  } catch (const ArchiveError&) {
    // Its memory is damaged: what it says cannot be believed any more. Its death answers its task.
    kill(worker);
    return false;
  }
  measure(worker, function);
  if (mine_ != nullptr) mine_->task_ns.store(mine_->known->task_ns, std::memory_order_relaxed);
  if (worker.outstanding() == 0) {
    worker.load_ns = 0;
    worker.in_busy = worker.unfenced = worker.coarse = false;
    std::erase(busy_, &worker);
    page_.words().busy_workers.store(static_cast<std::uint32_t>(busy_.size()), std::memory_order_relaxed);
    if (worker.revoked_from != channel::kNeverRevoked) end_revocation(worker);
  }
  update_lane(worker);
  return true;
}

// Each record is consumed as soon as it is dealt with: an exception (no memory) leaves the others for the next time.
void Dispatcher::take_records(WorkerSlot& worker, std::span<const std::byte> window) {
  auto& ring = worker.link->results;
  const std::size_t large = ring.capacity() / 2;
  while (!window.empty()) {
    if (worker.in_values || ring.position() % sizeof(std::uint64_t) != 0) {
      const std::size_t taken = take_values(worker, window);
      ring.consume(taken);
      worker.bytes_received += taken;
      window = window.subspan(taken);
      continue;
    }
    if (window.size() < kRecordBytes) bad_channel("less than a record");
    std::uint64_t word = 0;
    std::memcpy(&word, window.data(), sizeof word);
    const wire::Record record = wire::unpack_record(word);
    const bool has_payload =
        record.status != wire::RecordStatus::declined && record.status != wire::RecordStatus::values;
    if (has_payload && record.length > large) {
      check_turn(worker, record);
      ring.consume(kRecordBytes);
      worker.bytes_received += kRecordBytes;
      return begin_incoming(worker, record);
    }
    const std::size_t length = has_payload ? static_cast<std::size_t>(record.length) : 0;
    const std::size_t whole = kRecordBytes + static_cast<std::size_t>(wire::padded(length));
    if (window.size() < whole) bad_channel("a record is not whole");
    handle(worker, record, window.subspan(kRecordBytes, length));
    ring.consume(whole);
    worker.bytes_received += whole;
    window = window.subspan(whole);
  }
}

// A block's results, or the padding behind them: how many bytes.
std::size_t Dispatcher::take_values(WorkerSlot& worker, std::span<const std::byte> window) {
  if (!worker.in_values) {
    const std::size_t padding = static_cast<std::size_t>(-worker.link->results.position() % sizeof(std::uint64_t));
    if (window.size() < padding) bad_channel("padding is not whole");
    return padding;
  }
  // The number in the record is right for everything that lies behind the values: it was read after the tail.
  const auto* const word = reinterpret_cast<const std::uint64_t*>(worker.link->results.at(worker.values_at));
  const wire::Record record = wire::unpack_record(__atomic_load_n(word, __ATOMIC_RELAXED));
  const std::uint64_t taken = worker.answered + 1 - worker.values_first;
  if (record.status != wire::RecordStatus::values || record.length > worker.values_most || record.length < taken) {
    bad_channel("a number of values that cannot be");
  }
  const std::uint64_t left = record.length - taken;
  if (left == 0) {
    worker.in_values = false;
    return 0;
  }
  Sent& sent = worker.sent.front();
  const std::size_t size = sent.result_bytes;
  const std::uint32_t count = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, window.size() / size));
  if (count == 0) bad_channel("a value is not whole");
  if (count > sent.count - sent.answered - sent.reclaimed) bad_channel("an answer to a task that was taken back");
  if (count == left) worker.in_values = false;
  Job* const job = sent.job;
  const std::uint64_t first = sent.first + sent.answered;
  worker.tasks += count;
  step_over(worker, count);  // nothing may throw from here on: the tasks would be lost
  if (job != nullptr) {
    for (std::size_t done = 0; done < count;) {
      done += job->ops->values(*job, first + done, window.data() + done * size, count - done);
      if (done == count) break;
      give_value(*job, first + done, window.subspan(done * size, size));
      ++done;
    }
    count_answers(*job, count);
  }
  return count * size;
}

void Dispatcher::begin_values(WorkerSlot& worker, wire::Record record) {
  const Sent& sent = worker.sent.front();
  if (sent.item_bytes == 0) bad_channel("values that were not asked for");
  if (record.length > sent.count - sent.answered) bad_channel("more values than tasks");
  worker.in_values = true;
  worker.values_at = worker.link->results.position();
  worker.values_first = worker.answered + 1;
  worker.values_most = record.length;
}

void Dispatcher::begin_incoming(WorkerSlot& worker, wire::Record record) {
  worker.incoming_record = record;
  worker.incoming_left = wire::padded(record.length);
  worker.incoming_got = 0;
  worker.incoming_bytes = {};
  worker.incoming = true;
  worker.incoming_error = nullptr;
  const Job* const job = worker.sent.empty() ? nullptr : worker.sent.front().job;
  worker.incoming_in_parts =
      record.status == wire::RecordStatus::value && (job == nullptr || job->ops->part != nullptr);
  if (worker.incoming_in_parts) return;
  try {
    worker.incoming_bytes = os::LargeBuffer(static_cast<std::size_t>(record.length));
  } catch (const std::bad_alloc&) {
    // Without a buffer it is read past, and the task is answered with this error.
  }
}

void Dispatcher::take_incoming(WorkerSlot& worker, std::span<const std::byte> window) {
  const std::size_t taken = static_cast<std::size_t>(std::min<std::uint64_t>(window.size(), worker.incoming_left));
  const std::uint64_t missing = worker.incoming_record.length - worker.incoming_got;
  const std::size_t payload = static_cast<std::size_t>(std::min<std::uint64_t>(taken, missing));
  if (worker.incoming_in_parts) {
    take_part(worker, window.first(payload));
  } else if (worker.incoming_bytes.data() != nullptr) {
    std::memcpy(worker.incoming_bytes.data() + worker.incoming_got, window.data(), payload);
  }
  worker.incoming_got += payload;
  worker.incoming_left -= taken;
  worker.link->results.consume(taken);
  worker.bytes_received += taken;
  if (worker.incoming_left > 0) return;
  worker.incoming = false;
  const os::LargeBuffer bytes = std::move(worker.incoming_bytes);
  if (bytes.data() != nullptr) return handle(worker, worker.incoming_record, {bytes.data(), bytes.size()});
  if (worker.sent.empty()) return;  // a failed initializer's
  Job* const job = worker.sent.front().job;
  const std::uint64_t index = worker.sent.front().first + worker.sent.front().answered;
  std::exception_ptr error = std::exchange(worker.incoming_error, nullptr);
  if (!worker.incoming_in_parts) error = std::make_exception_ptr(std::bad_alloc());
  ++worker.tasks;
  step_over(worker);
  if (job == nullptr) return;
  if (error) give_error(*job, index, std::move(error));
  count_answers(*job);
}

// The job may be gone in the middle.
void Dispatcher::take_part(WorkerSlot& worker, std::span<const std::byte> bytes) noexcept {
  Job* const job = worker.sent.front().job;
  if (job == nullptr || worker.incoming_error) return;
  try {
    job->ops->part(*job, worker.incoming_got, worker.incoming_record.length, bytes);
  } catch (...) {
    worker.incoming_error = std::current_exception();
  }
}

// A worker may fail its first task before the news of its start was read.
void Dispatcher::learn_pid(WorkerSlot& worker) {
  const os::Deadline deadline = os::Deadline::after(std::chrono::milliseconds(100));
  while (worker.pid == 0 && !ended()) {
    for (;;) {
      later_.emplace_back();  // first: what the backend says must not be lost for want of memory
      const auto event = backend_.next_event();
      if (event && event->kind != WorkerEvent::Kind::started) {
        later_.back() = *event;
        continue;
      }
      later_.pop_back();
      if (!event) break;
      handle_event(*event);
    }
    if (worker.pid != 0 || backend_.event_fd() < 0 || !os::wait_readable(backend_.event_fd(), deadline)) return;
  }
}

// Before anything is done with a record: whether it can be meant.
void Dispatcher::check_turn(WorkerSlot& worker, wire::Record record) {
  using Status = wire::RecordStatus;
  if (record.status == Status::init_failed) return;
  if (record.status != Status::value && record.status != Status::error && record.status != Status::declined &&
      record.status != Status::values) {
    bad_channel("an unknown kind of record");
  }
  if (worker.sent.empty()) bad_channel("an answer to nothing");
  if (record.sequence != static_cast<std::uint16_t>(worker.answered + 1)) bad_channel("an answer out of turn");
  Sent& sent = worker.sent.front();
  if (record.status == Status::values) return;
  if (record.status != Status::declined) {
    if (sent.count - sent.answered <= sent.reclaimed) bad_channel("an answer to a task that was taken back");
    return;
  }
  if (worker.answered + 1 < worker.revoked_from) bad_channel("a task declined that was not revoked");
  std::uint64_t left = record.length;
  for (std::size_t i = 0; left > 0; ++i) {
    if (i == worker.sent.size()) bad_channel("more declined than sent");
    const std::uint64_t here = worker.sent[i].count - worker.sent[i].answered;
    if (here > left) bad_channel("a frame declined in part");
    left -= here;
  }
}

void Dispatcher::handle(WorkerSlot& worker, wire::Record record, std::span<const std::byte> payload) {
  if (record.status == wire::RecordStatus::init_failed) {
    if (worker.pid == 0) learn_pid(worker);
    wire::Reader reader(payload);
    return break_pool(wire::load_exception(reader, worker.pid, RemoteError::kInitializer));
  }
  check_turn(worker, record);
  if (record.status == wire::RecordStatus::declined) return handle_declined(worker, record.length);
  if (record.status == wire::RecordStatus::values) return begin_values(worker, record);
  Sent& sent = worker.sent.front();
  const bool is_error = record.status == wire::RecordStatus::error;
  const std::uint64_t index = sent.first + sent.answered;
  std::exception_ptr error;
  if (is_error) {
    if (worker.pid == 0) learn_pid(worker);
    wire::Reader reader(payload);
    error = wire::load_exception(reader, worker.pid, index);
  }
  Job* const job = sent.job;
  ++worker.tasks;
  step_over(worker);  // nothing may throw from here on: the task would be lost
  if (job == nullptr) return;
  if (is_error) {
    give_error(*job, index, std::move(error));
  } else {
    give_value(*job, index, payload);
  }
  count_answers(*job);
}

// The worker saw the revocation before it began these tasks. Those that were reclaimed are elsewhere already; the
// others are the few it might have begun.
void Dispatcher::handle_declined(WorkerSlot& worker, std::uint64_t count) {
  while (count > 0) {
    Sent& sent = worker.sent.front();
    const std::uint32_t here = sent.count - sent.answered;
    if (const std::uint32_t undecided = here - sent.reclaimed; undecided > 0) {
      give_back(worker, sent, sent.answered, undecided);
    }
    for (std::uint32_t i = 0; i < here; ++i) step_over(worker);
    count -= here;
  }
  requeue_returned();
}

void Dispatcher::step_over(WorkerSlot& worker, std::uint32_t count) {
  Sent& sent = worker.sent.front();
  worker.answered += count;
  sent.answered += count;
  worker.load_ns -= static_cast<double>(sent.task_ns) * count;
  if (sent.answered < sent.count) return;
  if (sent.parcel != nullptr && sent.parcel == worker.outgoing) {
    skip_outgoing(worker);
  } else if (sent.parcel != nullptr) {
    release(sent.parcel);
  }
  worker.sent.pop();
}

void Dispatcher::give_value(Job& job, std::uint64_t index, std::span<const std::byte> bytes) {
  try {
    wire::Reader reader(bytes);
    job.ops->value(job, index, reader);
  } catch (...) {
    give_error(job, index, std::current_exception());
  }
}

void Dispatcher::give_error(Job& job, std::uint64_t index, std::exception_ptr error) {
  if (job.stop_on_error) {
    job.error_bound = std::min(job.error_bound, index);
    job.stopped.store(true, std::memory_order_relaxed);
    failing_.push_back(&job);
    if (&job == mine_) job.input_done = job.closed = true;
  }
  job.ops->error(job, index, std::move(error));
}

void Dispatcher::count_answers(Job& job, std::uint64_t count) {
  job.answered += count;
  outstanding_ -= count;
  job.completed.store(job.answered, std::memory_order_relaxed);
  if (&job != mine_) news_ = true;
  end_if_done(job);
}

// After this the job may be gone.
void Dispatcher::end_if_done(Job& job) {
  if (!job.closed || job.answered != job.accepted) return;
  if (!failing_.empty()) std::erase(failing_, &job);
  on_done_(job);
}

// The worker's own clock readings since the last look, shared by the tasks it timed.
void Dispatcher::measure(WorkerSlot& worker, Function* function) {
  if (function == nullptr) return;
  const channel::Words& words = worker.link->words();
  const std::uint64_t timed = words.timed_tasks.load(std::memory_order_acquire);
  const std::uint64_t busy_ns = words.busy_ns.load(std::memory_order_relaxed);
  if (timed == worker.seen_timed_tasks) return;
  const double sample =
      static_cast<double>(busy_ns - worker.seen_busy_ns) / static_cast<double>(timed - worker.seen_timed_tasks);
  worker.seen_timed_tasks = timed;
  worker.seen_busy_ns = busy_ns;
  const double before = function->task_ns;
  function->task_ns = before <= 0 ? std::max(sample, 1.0) : before + kNewWeight * (std::max(sample, 1.0) - before);
}

}  // namespace brood::engine
