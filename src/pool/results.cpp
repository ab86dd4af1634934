#include "pool/results.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "pool/parcel.hpp"
#include "wire/exception.hpp"

namespace brood::engine {
namespace {

constexpr std::size_t kRecordBytes = sizeof(std::uint64_t);
// Below this much room an answer is not begun in the ring.
constexpr std::size_t kMinRoom = 256;

// In one piece: that of values is corrected while the dispatcher may look at it.
void put_record(std::span<std::byte> window, wire::RecordStatus status, std::uint64_t sequence, std::uint64_t length) {
  auto& word = *reinterpret_cast<std::uint64_t*>(window.data());
  std::atomic_ref(word).store(wire::pack_record(status, sequence, length), std::memory_order_relaxed);
}

}  // namespace

std::span<std::byte> Results::room(std::size_t wanted) {
  for (;;) {
    const auto window = link_.results.window(wanted);
    if (window.size() >= wanted) return window;
    if (link_.results.damaged()) throw ArchiveError("the result ring's reader is not within what was written");
    std::atomic_thread_fence(std::memory_order_seq_cst);
    side_.ring(true);
    if (side_.spin(WorkerSide::kLongestSpinNs, [&] { return link_.results.window(wanted).size() >= wanted; })) continue;
    const std::uint64_t seen = side_.words().result_head.load(std::memory_order_acquire);
    if (link_.results.window(wanted).size() >= wanted) continue;
    side_.sleep_for_space(seen);
  }
}

wire::Writer& Results::begin() {
  side_.leave_if_forked();
  window_ = room(kMinRoom);
  window_ = window_.first(window_.size() & ~std::size_t{7});
  writer_.reset(window_.subspan(kRecordBytes));
  writer_.allow_references(true);  // the value lives until commit() returns
  return writer_;
}

void Results::commit() {
  const std::uint64_t length = writer_.size();
  if (length > wire::kMaxRecordLength) throw ArchiveError("a result of more than 1 TiB");
  if (!writer_.in_window()) return commit_large(length);
  put_record(window_, status_, side_.sequence(), length);
  link_.results.publish(kRecordBytes + static_cast<std::size_t>(wire::padded(length)));
}

void Results::commit_large(std::uint64_t length) {
  Parcel parcel;
  parcel.take(std::move(writer_), window_);
  writer_ = wire::Writer();
  const std::size_t whole = kRecordBytes + static_cast<std::size_t>(wire::padded(length));
  const std::size_t capacity = link_.results.capacity();
  if (length <= capacity / 2) {  // published at once: the dispatcher expects records of this size to be whole
    const auto window = room(whole);
    put_record(window, status_, side_.sequence(), length);
    std::byte* to = window.data() + kRecordBytes;
    for (std::size_t i = 0; i < parcel.pieces(); ++i) {
      to = std::copy(parcel.piece(i).begin(), parcel.piece(i).end(), to);
    }
    return link_.results.publish(whole);
  }
  put_record(room(kRecordBytes), status_, side_.sequence(), length);
  link_.results.publish(kRecordBytes);
  for (std::size_t i = 0; i < parcel.pieces(); ++i) {
    for (auto piece = parcel.piece(i); !piece.empty();) {
      const auto window = room(std::min(piece.size(), capacity / 8));
      const std::size_t count = std::min({piece.size(), window.size(), capacity / 4});
      std::memcpy(window.data(), piece.data(), count);
      link_.results.publish(count);
      piece = piece.subspan(count);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      side_.ring(true);
    }
  }
  const std::size_t padding = whole - kRecordBytes - static_cast<std::size_t>(length);
  if (padding > 0) {
    room(padding);
    link_.results.publish(padding);
  }
}

void Results::fail(const std::exception_ptr& error, wire::RecordStatus status) {
  side_.leave_if_forked();
  status_ = status;
  wire::save_exception(begin(), error);
  commit();
}

void Results::decline(std::uint32_t count) {
  const std::uint64_t first = side_.sequence();
  side_.skip(count - 1);
  put_record(room(kRecordBytes), wire::RecordStatus::declined, first, count);
  link_.results.publish(kRecordBytes);
}

std::size_t Results::room_for_values(std::size_t size) const noexcept {
  return (link_.results.capacity() / 8 - kRecordBytes) / size;
}

void Results::begin_values(std::uint32_t count, std::size_t size) {
  window_ = room(kRecordBytes + static_cast<std::size_t>(wire::padded(count * size)));
  first_ = side_.sequence() + 1;
  announced_ = count;
  put_record(window_, wire::RecordStatus::values, first_, count);
  link_.results.publish(kRecordBytes);
  place_ = window_.data() + kRecordBytes;
}

void Results::end_values(std::uint32_t count) {
  if (count < announced_)
    put_record(window_, wire::RecordStatus::values, first_, count);  // published with what follows
  const std::size_t bytes = static_cast<std::size_t>(place_ - window_.data());
  if (const std::size_t padding = static_cast<std::size_t>(wire::padded(bytes)) - bytes; padding > 0) {
    link_.results.publish(padding);
  }
}

}  // namespace brood::engine
