// What goes out to a worker before and between its tasks: functions and control frames; and in pieces: what is larger
// than its ring.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "pool/dispatcher.hpp"

namespace brood::engine {

// True: the worker knows the function, or will before anything that is written from now on.
bool Dispatcher::define(WorkerSlot& worker, Function& function) {
  if (worker.defined.size() <= function.number) worker.defined.resize(function.number + 16);
  if (worker.defined[function.number] == function.generation) return worker.outgoing == nullptr;
  const std::size_t length = function.definition.size();
  const std::size_t need = sizeof(wire::FrameHeader) + wire::padded(length);
  auto& ring = worker.link->tasks;
  const bool streams = need > ring.capacity() / 2;
  const auto window = ring.window(streams ? sizeof(wire::FrameHeader) : need);
  if (window.size() < (streams ? sizeof(wire::FrameHeader) : need)) return false;
  std::unique_ptr<Parcel> parcel;
  if (streams) {
    parcel = std::make_unique<Parcel>();
    const auto* const bytes = reinterpret_cast<const std::byte*>(function.definition.data());
    parcel->own(std::vector<std::byte>(bytes, bytes + length));
  }
  put_header(worker, window.data(), wire::FrameKind::define, function.number, 0, length);
  worker.defined[function.number] = function.generation;
  if (!streams) {
    std::memcpy(window.data() + sizeof(wire::FrameHeader), function.definition.data(), length);
    ring.publish(need);
    return true;
  }
  ring.publish(sizeof(wire::FrameHeader));
  begin_stream(worker, parcel.release());
  worker.outgoing_is_ours = true;
  stream_out(worker);
  return worker.outgoing == nullptr;
}

bool Dispatcher::send_control(WorkerSlot& worker) {
  bool sent = false;
  while (!worker.control.empty() && worker.outgoing == nullptr) {
    const WorkerSlot::Control control = worker.control.front();
    if (control.function != nullptr && !define(worker, *control.function)) break;
    auto& ring = worker.link->tasks;
    const auto window = ring.window(sizeof(wire::FrameHeader));
    if (window.size() < sizeof(wire::FrameHeader)) break;
    put_header(worker, window.data(), control.kind, control.function == nullptr ? 0 : control.function->number, 0, 0);
    ring.publish(sizeof(wire::FrameHeader));
    worker.control.pop_front();
    --controls_;
    sent = true;
  }
  if (worker.control.empty()) {
    update_lane(worker);
  } else {
    block(worker);
  }
  return sent;
}

void Dispatcher::begin_stream(WorkerSlot& worker, Parcel* parcel) noexcept {
  worker.outgoing = parcel;
  worker.outgoing_is_ours = false;
  worker.outgoing_piece = worker.outgoing_offset = 0;
  worker.outgoing_padding = static_cast<std::size_t>(wire::padded(parcel->length()) - parcel->length());
  worker.link->words().wants_space.store(1, std::memory_order_relaxed);
  ++streaming_;
}

void Dispatcher::end_stream(WorkerSlot& worker) noexcept {
  // The parcel of a task stays with its Sent, for a retry.
  if (worker.outgoing_is_ours) release(worker.outgoing);
  worker.outgoing = nullptr;
  --streaming_;
}

// The task was answered before its arguments were read: what is left of them is only got past, and the memory they
// stand in may go.
void Dispatcher::skip_outgoing(WorkerSlot& worker) noexcept {
  std::size_t left = static_cast<std::size_t>(worker.outgoing->length()) - worker.outgoing_offset;
  for (std::size_t p = 0; p < worker.outgoing_piece; ++p) left -= worker.outgoing->piece(p).size();
  worker.outgoing->clear();
  worker.outgoing_is_ours = true;
  worker.outgoing_piece = worker.outgoing_offset = 0;
  worker.outgoing_padding += left;
}

bool Dispatcher::stream_out(WorkerSlot& worker) {
  auto& ring = worker.link->tasks;
  Parcel& parcel = *worker.outgoing;
  bool moved = false;
  while (worker.outgoing_piece < parcel.pieces()) {
    const auto piece = parcel.piece(worker.outgoing_piece).subspan(worker.outgoing_offset);
    // Not by every little room that comes free: the two sides would only pass a cache line back and forth.
    const std::size_t worthwhile = std::min(piece.size(), ring.capacity() / 8);
    const auto window = ring.window(worthwhile);
    if (window.size() < worthwhile) break;
    const std::size_t count = std::min(piece.size(), window.size());
    std::memcpy(window.data(), piece.data(), count);
    ring.publish(count);
    moved = true;
    worker.outgoing_offset += count;
    if (count == piece.size()) {
      ++worker.outgoing_piece;
      worker.outgoing_offset = 0;
    }
  }
  if (worker.outgoing_piece == parcel.pieces()) {
    // The padding, or what is left of arguments that nobody reads: any bytes will do.
    while (worker.outgoing_padding > 0) {
      const std::size_t worthwhile = std::min(worker.outgoing_padding, ring.capacity() / 8);
      const auto window = ring.window(worthwhile);
      if (window.size() < worthwhile) break;
      const std::size_t count = std::min(worker.outgoing_padding, window.size());
      ring.publish(count);
      worker.outgoing_padding -= count;
      moved = true;
    }
    if (worker.outgoing_padding == 0) {
      end_stream(worker);
      worker.link->words().wants_space.store(0, std::memory_order_relaxed);
      moved = true;
      update_lane(worker);
    }
  }
  if (moved && !worker.bell) {
    worker.bell = true;
    bells_.push_back(&worker);
  }
  return moved;
}

// What is on its way must outlive the memory of the caller, who will not wait for it.
void Dispatcher::own_outgoing(WorkerSlot& worker) {
  std::size_t sent_so_far = worker.outgoing_offset;
  for (std::size_t p = 0; p < worker.outgoing_piece; ++p) sent_so_far += worker.outgoing->piece(p).size();
  try {
    worker.outgoing->detach();
  } catch (const std::bad_alloc&) {
    return kill(worker);  // which ends the stream as well
  }
  worker.outgoing_piece = 0;
  worker.outgoing_offset = sent_so_far;
}

}  // namespace brood::engine
