// How a worker answers: records in its result ring, whole or in pieces.
//
// Thread safety: as worker.hpp. Blocking: while the ring is full.
#pragma once

#include <brood/detail/function.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

#include "pool/worker_side.hpp"
#include "wire/frame.hpp"

namespace brood::engine {

class Results final : public wire::Answer {
 public:
  explicit Results(WorkerSide& side) : side_(side), link_(side.link()) {}

  // What the next answers are. A task's result is a value unless somebody says otherwise.
  void expect_value() noexcept { status_ = wire::RecordStatus::value; }
  wire::Writer& begin() override;
  void commit() override;
  // The error of the task that was taken last, or of the initializer.
  void fail(const std::exception_ptr& error, wire::RecordStatus status = wire::RecordStatus::error);
  // The task that was taken last and those behind it, `count` in all, were revoked.
  void decline(std::uint32_t count);

  // Values side by side: their number, at most room_for_values(); then each of them at place() and published; at the
  // end the number that it was in fact.
  std::size_t room_for_values(std::size_t size) const noexcept;
  void begin_values(std::uint32_t count, std::size_t size);
  std::byte* place() override {
    side_.leave_if_forked();
    return place_;
  }
  void publish_value(std::size_t size) noexcept {
    place_ += size;
    link_.results.publish(size);
  }
  void end_values(std::uint32_t count);

 private:
  std::span<std::byte> room(std::size_t wanted);
  void commit_large(std::uint64_t length);

  WorkerSide& side_;
  channel::WorkerEnd& link_;
  wire::Writer writer_;
  std::span<std::byte> window_;
  wire::RecordStatus status_ = wire::RecordStatus::value;
  std::byte* place_ = nullptr;
  std::uint64_t first_ = 0;  // of values: the sequence number
  std::uint32_t announced_ = 0;
};

}  // namespace brood::engine
