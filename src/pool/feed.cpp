// How tasks go out to the workers.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "pool/dispatcher.hpp"

namespace brood::engine {
namespace {

// A worker is fed up to kFullNs of estimated work and is hungry again below kHungryNs: enough to sleep a few times per
// millisecond only, little enough to balance at the end; whatever turns out to be too much can be taken back.
constexpr double kFullNs = 1'000'000;
constexpr double kHungryNs = 400'000;
// The aim of one frame when the chunk size is measured.
constexpr double kChunkNs = 250'000;
constexpr std::uint64_t kMaxChunk = 65'536;
// More than this does not wait for one worker while another one has nothing.
constexpr double kShareNs = 20'000;
// Below this a frame is not worth beginning.
constexpr std::size_t kMinWindow = 512;

}  // namespace

bool Dispatcher::has_source() const noexcept {
  return !stopping_ && !broken_ && !ended() && (!pending_.empty() || has_input());
}

bool Dispatcher::has_input() const noexcept {
  return mine_ != nullptr && !mine_->input_done && !mine_->stopped.load(std::memory_order_relaxed) && mine_->room() > 0;
}

// Idle workers first, the most recently used of them: it may still be awake, and its memory is warm. But waking one
// costs more than a little waiting behind fast tasks, and whatever waits too long is taken back.
WorkerSlot* Dispatcher::pick() noexcept {
  const bool squeeze_in =
      !idle_.empty() && !hungry_.empty() && hungry_.back()->load_ns < kShareNs && next_task_is_fast();
  auto& lane = idle_.empty() || squeeze_in ? hungry_ : idle_;
  if (lane.empty()) return nullptr;
  WorkerSlot* const worker = lane.back();
  lane.pop_back();
  worker->lane = WorkerSlot::Lane::none;
  return worker;
}

bool Dispatcher::next_task_is_fast() const noexcept {
  const Job* const job = pending_.empty() ? mine_ : pending_.front()->job;
  return job != nullptr && job->known->task_ns > 0 && job->known->task_ns < kShareNs;
}

void Dispatcher::update_lane(WorkerSlot& worker) {
  if (worker.lane == WorkerSlot::Lane::idle && worker.outstanding() > 0) leave_lanes(worker);
  if (worker.lane == WorkerSlot::Lane::hungry && worker.outstanding() == 0) leave_lanes(worker);
  if (worker.lane != WorkerSlot::Lane::none || worker.life != WorkerSlot::Life::alive) return;
  if (worker.outgoing != nullptr || worker.revoked_from != channel::kNeverRevoked || !worker.control.empty() ||
      worker.blocked)
    return;
  if (worker.outstanding() == 0) {
    worker.lane = WorkerSlot::Lane::idle;
    idle_.push_back(&worker);
  } else if (worker.load_ns < kHungryNs) {
    worker.lane = WorkerSlot::Lane::hungry;
    hungry_.push_back(&worker);
  }
}

void Dispatcher::leave_lanes(WorkerSlot& worker) noexcept {
  if (worker.lane == WorkerSlot::Lane::idle) std::erase(idle_, &worker);
  if (worker.lane == WorkerSlot::Lane::hungry) std::erase(hungry_, &worker);
  worker.lane = WorkerSlot::Lane::none;
}

void Dispatcher::enter_busy(WorkerSlot& worker) {
  if (worker.in_busy) return;
  worker.in_busy = true;
  busy_.push_back(&worker);
  page_.words().busy_workers.store(static_cast<std::uint32_t>(busy_.size()), std::memory_order_relaxed);
}

bool Dispatcher::feed() {
  if (ended()) return false;
  bool fed = false;
  if (blocked_ > 0) unblock();
  if (streaming_ > 0 || controls_ > 0) {
    for (const auto& worker : workers_) {
      if (worker->life != WorkerSlot::Life::alive) continue;
      if (worker->outgoing != nullptr) fed |= stream_out(*worker);
      if (!worker->control.empty()) fed |= send_control(*worker);
      if (worker->link->tasks.damaged()) kill(*worker);
    }
  }
  while (has_source()) {
    WorkerSlot* const worker = pick();
    if (worker == nullptr) break;
    bool got_some = false;
    try {
      got_some = feed_worker(*worker);
    } catch (...) {
      update_lane(*worker);
      throw;
    }
    fed |= got_some;
    if (worker->link->tasks.damaged()) {
      kill(*worker);
      continue;
    }
    // Without tasks and still no room: others may have it. (Its ring is full: an answer brings it back.)
    if (!got_some && worker->outstanding() == 0 && worker->outgoing == nullptr && has_source()) block(*worker);
    if (got_some || worker->outstanding() == 0) update_lane(*worker);
  }
  ring_bells();
  return fed;
}

// An idle worker that has not yet released the bytes of its last frame: it will, and says so.
void Dispatcher::block(WorkerSlot& worker) noexcept {
  if (!worker.blocked) ++blocked_;
  worker.blocked = true;
  worker.link->words().wants_space.store(1, std::memory_order_relaxed);
}

bool Dispatcher::feed_worker(WorkerSlot& worker) {
  bool fed = false;
  while (has_source() && worker.outgoing == nullptr && (worker.outstanding() == 0 || worker.load_ns < kFullNs)) {
    // In turn, so that neither the tasks that others post nor the input of the thread at work wait for ever.
    Parcel* const parcel = input_is_next_ && has_input() ? nullptr : pending_.front();
    input_is_next_ = parcel != nullptr;
    if (parcel != nullptr) {
      if (parcel->job != nullptr && !parcel->job->withdrawn && parcel->first < parcel->job->error_bound) {
        if (!send_parcel(worker, parcel)) break;
        fed = true;
        if (!idle_.empty() && worker.load_ns > kShareNs) break;
        continue;
      }
      drop_parcel(pending_.pop());
      fed = true;
      continue;
    }
    if (!send_input(worker, *mine_)) break;
    fed = true;
    // An idle colleague comes before more for this one.
    if (!idle_.empty()) break;
  }
  return fed;
}

// Ends a parcel that will not be sent: nobody wants its tasks any more.
void Dispatcher::drop_parcel(Parcel* parcel) {
  Job* const job = parcel->job;
  const std::uint64_t first = parcel->first;
  const std::uint32_t count = parcel->count;
  if (job != nullptr && parcel->posted) note_departure(*job);
  release(parcel);
  if (job == nullptr) return;
  const std::exception_ptr error = job->withdrawn;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (error) give_error(*job, first + i, error);
    count_answers(*job);
  }
}

void Dispatcher::note_departure(Job& job) noexcept {
  job.posted.fetch_sub(1, std::memory_order_relaxed);
  news_ = true;
}

void Dispatcher::put_header(WorkerSlot& worker, std::byte* at, wire::FrameKind kind, std::uint32_t function,
                            std::uint32_t count, std::uint64_t length) {
  const wire::FrameHeader header = wire::make_frame_header(kind, function, count, length);
  std::memcpy(at, &header, sizeof header);
  if (!worker.bell) {
    worker.bell = true;
    bells_.push_back(&worker);
  }
}

wire::FrameKind Dispatcher::kind_for(const Job& job, std::uint32_t item_bytes, bool streams) const noexcept {
  if (item_bytes > 0) return wire::FrameKind::block;
  if (membarrier_ && !job.each && !streams) return wire::FrameKind::batch;
  return job.ops->finished != nullptr && !streams ? wire::FrameKind::posted : wire::FrameKind::task;
}

void Dispatcher::record_sent(WorkerSlot& worker, Sent sent) {
  const double task_ns = sent.function->task_ns;
  sent.task_ns = static_cast<float>(task_ns > 0 ? task_ns : kFullNs);
  sent.sequence = worker.next_sequence;
  worker.next_sequence += sent.count;
  worker.load_ns += static_cast<double>(sent.task_ns) * sent.count;
  worker.bytes_sent += sent.payload_bytes;
  worker.unfenced |= membarrier_ && !sent.job->each;
  worker.coarse = !sent.job->each && (worker.coarse || worker.sent.empty());
  worker.sent.push(sent);
  enter_busy(worker);
}

bool Dispatcher::send_parcel(WorkerSlot& worker, Parcel* parcel) {
  auto& ring = worker.link->tasks;
  Function& function = *parcel->job->known;
  if (!define(worker, function)) return false;
  const std::size_t need = sizeof(wire::FrameHeader) + wire::padded(parcel->length());
  const bool streams = need > ring.capacity() / 2;
  // What streams goes only to a worker that will take it at once: it cannot be taken back from the ring.
  if (streams && worker.outstanding() > 0) return false;
  auto window = ring.window(streams ? sizeof(wire::FrameHeader) : need);
  if (window.size() < (streams ? sizeof(wire::FrameHeader) : need)) return false;
  worker.sent.reserve_one();
  pending_.pop();
  if (parcel->posted) note_departure(*parcel->job);
  Sent sent{.job = parcel->job,
            .function = &function,
            .first = parcel->first,
            .count = parcel->count,
            .attempt = parcel->attempt,
            .item_bytes = parcel->item_bytes,
            .result_bytes = parcel->job->function.record->result_bytes,
            .payload_bytes = parcel->length()};
  sent.payload_at = ring.position() + sizeof(wire::FrameHeader);
  put_header(worker, window.data(), kind_for(*parcel->job, parcel->item_bytes, streams), function.number, parcel->count,
             parcel->length());
  if (streams) {
    ring.publish(sizeof(wire::FrameHeader));
    sent.parcel = parcel;
    begin_stream(worker, parcel);
    record_sent(worker, sent);
    stream_out(worker);
    return true;
  }
  std::byte* to = window.data() + sizeof(wire::FrameHeader);
  for (std::size_t i = 0; i < parcel->pieces(); ++i) {
    const auto piece = parcel->piece(i);
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  ring.publish(need);
  record_sent(worker, sent);
  release(parcel);
  return true;
}

std::uint64_t Dispatcher::chunk_for(const Job& job, const Function& function) const noexcept {
  if (job.chunksize > 0) return job.chunksize;
  if (function.task_ns <= 0) return 1;
  std::uint64_t chunk = static_cast<std::uint64_t>(kChunkNs / function.task_ns);
  if (job.total_known) {
    const std::uint64_t left = job.total > job.next_index ? job.total - job.next_index : 1;
    chunk = std::min(chunk, left / (2 * std::min<std::uint64_t>(workers_.size(), options_.cpus)));
  }
  return std::clamp<std::uint64_t>(chunk, 1, kMaxChunk);
}

bool Dispatcher::send_input(WorkerSlot& worker, Job& job) {
  auto& ring = worker.link->tasks;
  Function& function = *job.known;
  if (!define(worker, function)) return false;
  worker.sent.reserve_one();
  const auto window = ring.window(ring.capacity() / 4);
  if (window.size() < kMinWindow) return false;
  // A longer frame would be one that streams, and only a single task may do that.
  const std::size_t most_bytes = std::min(window.size(), ring.capacity() / 2);
  const auto room = window.subspan(sizeof(wire::FrameHeader), most_bytes - sizeof(wire::FrameHeader) - 8);
  wire::Writer writer(room);
  const std::uint64_t most = std::min(chunk_for(job, function), std::max<std::uint64_t>(job.room(), 1));
  const std::uint32_t item_bytes = this->item_bytes(job);
  const std::size_t enough = std::min(ring.capacity() / 4, item_bytes > 0 ? room.size() : SIZE_MAX);
  detail::FrameWriter frame(writer, static_cast<std::size_t>(most), enough, item_bytes);
  try {
    job.ops->fill(job, frame);
  } catch (...) {  // the input's own exception: the call throws it once what was written is answered
    job.input_error = std::current_exception();
    job.input_done = true;
  }
  job.closed = job.input_done;
  const std::uint32_t count = static_cast<std::uint32_t>(frame.count());
  if (count == 0) {
    end_if_done(job);
    return false;
  }
  const std::uint64_t first = job.next_index;
  std::unique_ptr<Parcel> parcel;
  if (frame.oversized()) {  // before anything is counted: this may find no memory
    parcel = std::make_unique<Parcel>();
    parcel->job = &job;
    parcel->first = first;
    parcel->count = count;
    parcel->take(std::move(writer), room);
  }
  job.next_index += count;
  job.accepted += count;
  outstanding_ += count;
  if (parcel) {
    pending_.push_front(parcel.get());
    return send_parcel(worker, parcel.release());
  }
  const std::uint64_t length = frame.bytes();
  Sent sent{.job = &job,
            .function = &function,
            .first = first,
            .count = count,
            .item_bytes = item_bytes,
            .result_bytes = job.function.record->result_bytes,
            .payload_bytes = length};
  sent.payload_at = ring.position() + sizeof(wire::FrameHeader);
  put_header(worker, window.data(), kind_for(job, item_bytes, false), function.number, count, length);
  ring.publish(sizeof(wire::FrameHeader) + wire::padded(length));
  record_sent(worker, sent);
  return true;
}

void Dispatcher::ring_bells() {
  for (WorkerSlot* const worker : bells_) {
    worker->bell = false;
    if (worker->link) worker->link->wake();
  }
  bells_.clear();
}

}  // namespace brood::engine
