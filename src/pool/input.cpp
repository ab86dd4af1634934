// How a job's input becomes parcels outside of the dispatcher: while another thread drives, and for inputs that are
// read between turns.
#include <brood/error.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include "os/clock.hpp"
#include "pool/engine.hpp"

namespace brood::engine {
namespace {

// Parcels of tasks that are written ahead, without a worker at hand, are about this large.
constexpr std::size_t kParcelBytes = std::size_t{16} << 10U;
static_assert(kParcelBytes <= channel::RingSizes{}.tasks / 4);
constexpr std::uint64_t kMostWrittenAhead = 64;  // tasks per parcel while their time is not known
constexpr std::size_t kSmallScratch = 512;
constexpr double kSlowTaskNs = 20'000;
// Reading elements for longer than this at a time would hold up the answers that have come.
constexpr std::int64_t kLongReadNs = 100'000;

}  // namespace

// The stream of this pool that is the job's input, if it is one. Widens its window.
Job* Engine::source_of(Job& job) const {
  if (!job.apart || job.input_done || job.ops->upstream == nullptr) return nullptr;
  Job* const source = job.ops->upstream(job).job;
  return source != nullptr && source->engine == this ? source : nullptr;
}

// Whose input the dispatcher may read itself while a thread waits for `job`: its own, or that of the stream it starts
// from.
Job* Engine::fed_in_turn(Job& job) const {
  Job* fed = &job;
  while (fed != nullptr && fed->apart) fed = source_of(*fed);
  return fed;
}

// Whether parcels of the job may be written now.
bool Engine::has_room(const Job& job) const noexcept {
  if (job.input_done || job.posted.load(std::memory_order_relaxed) >= 2 * processes_ + 2) return false;
  return job.stopped.load(std::memory_order_relaxed) || job.room() > 0;
}

// Whether there is something to do for read_apart(). `hungry`: nothing else is to be had by the caller, so reading may
// take its time.
bool Engine::can_read(Job& job, bool hungry) const {
  if (!job.apart) return false;
  Job* const source = source_of(job);
  if (source != nullptr && can_read(*source, hungry)) return true;
  if (!has_room(job)) return false;
  return source != nullptr ? job.ops->upstream(job).ready > 0 : hungry || job.pace > 1;
}

// Reads what can be read of an input that may wait or use the pool, and of the streams it comes from: without the turn,
// so that the pool can be used meanwhile. Of a stream of this pool exactly what is there; of any other input as many
// elements as have lately come quickly.
bool Engine::read_apart(Job& job, bool hungry) {
  if (!job.apart) return false;
  Job* const source = source_of(job);
  const bool moved = source != nullptr && read_apart(*source, hungry);
  if (!has_room(job)) return moved;
  if (source != nullptr) {
    const std::uint64_t ready = job.ops->upstream(job).ready;
    if (ready == 0 && !job.stopped.load(std::memory_order_relaxed)) return moved;
    post_input(job, ready);
    return true;
  }
  if (!hungry && job.pace == 1) return moved;
  const std::int64_t begun_ns = os::now_ns();
  post_input(job, job.pace);
  const bool long_read = os::now_ns() - begun_ns > kLongReadNs;
  job.pace = long_read ? std::max<std::uint64_t>(job.pace / 2, 1) : std::min(2 * job.pace, kMostWrittenAhead);
  return true;
}

// Slow tasks of a stream's window go on while the consumer is busy with something else. (Fast ones are in the rings.)
bool Engine::goes_on(Job& job) {
  if (job.known->task_ns.load(std::memory_order_relaxed) < kSlowTaskNs || job.stopped.load()) return false;
  if (job.input_done || (!job.apart && job.next_index >= job.window_end)) return false;
  if (!job.counted) {
    job.counted = true;
    open_jobs_.fetch_add(1, std::memory_order_relaxed);
  }
  while (!job.apart && !job.input_done && job.next_index < job.window_end) post_input(job);
  return true;
}

// The next part of a job's input. What serialize() or the range throws is the job's input_error; what was written
// before it counts.
Parcel* Engine::write_parcel(Job& job, std::span<std::byte> scratch, std::uint64_t most) {
  wire::Writer writer{scratch};
  std::uint64_t chunk = job.chunksize > 0 ? job.chunksize : kMostWrittenAhead;
  if (job.chunksize == 0 && job.total_known) chunk = std::clamp<std::uint64_t>(job.total / (4 * processes_), 1, 4096);
  most = std::min({most, chunk, std::max<std::uint64_t>(job.room(), 1)});
  const std::uint32_t item_bytes = dispatcher_->item_bytes(job);
  detail::FrameWriter frame(writer, static_cast<std::size_t>(most), scratch.size(), item_bytes);
  auto parcel = std::make_unique<Parcel>();
  try {
    job.ops->fill(job, frame);
  } catch (...) {
    job.input_error = std::current_exception();
    job.input_done = true;
  }
  parcel->job = &job;
  parcel->first = job.next_index;
  parcel->count = static_cast<std::uint32_t>(frame.count());
  parcel->last = job.input_done;
  parcel->item_bytes = item_bytes;
  if (frame.oversized()) {
    parcel->take(std::move(writer), scratch);
  } else {
    parcel->copy(scratch.first(frame.bytes()));
  }
  job.next_index += frame.count();
  return parcel.release();
}

// While another thread drives, or between turns.
void Engine::post_input(Job& job, std::uint64_t most) {
  std::byte scratch[kParcelBytes];
  Parcel* parcel = nullptr;
  try {
    if (!job.stopped.load(std::memory_order_relaxed)) parcel = write_parcel(job, scratch, most);
  } catch (...) {  // no memory for what was written
    job.input_error = std::current_exception();
  }
  if (parcel == nullptr) {
    job.input_done = true;
    parcel = new Parcel;
    parcel->job = &job;
    parcel->last = true;
  }
  parcel->posted = true;
  job.posted.fetch_add(1, std::memory_order_relaxed);
  post(parcel);
  if (!job.apart || !job.input_error) return;
  try {
    std::rethrow_exception(job.input_error);
  } catch (const Interrupted&) {
    throw;  // the input was waiting when Ctrl-C was pressed: no time to wait for what it gave before
  } catch (...) {
    // Thrown to the caller after the results before it.
  }
}

// The whole input of a call that does not wait.
void Engine::submit_parcels(Job& job, bool single) {
  ParcelQueue parcels;
  try {
    std::byte scratch[kParcelBytes];
    do {
      parcels.push(write_parcel(job, std::span(scratch, single ? kSmallScratch : kParcelBytes), UINT64_MAX));
      if (job.input_error) std::rethrow_exception(job.input_error);
    } while (!job.input_done);
  } catch (...) {
    open_jobs_.fetch_sub(1, std::memory_order_relaxed);
    functions_.release(std::exchange(job.known, nullptr));
    engine::release(job);
    throw;
  }
  if (try_turn()) {
    const Turn turn(*this);
    take_posted();
    while (Parcel* const parcel = parcels.pop()) dispatcher_->accept(parcel);
    try {
      settle(nullptr);
      dispatcher_->step(nullptr);
    } catch (...) {
      // The tasks are accepted: whoever drives next meets what is wrong.
    }
  } else {
    while (Parcel* const parcel = parcels.pop()) post(parcel);
    if (try_turn()) end_turn();  // its holder may have left before the post: end_turn() looks
  }
}

}  // namespace brood::engine
