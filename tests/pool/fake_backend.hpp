// A backend without processes: the test itself plays the workers, one step at a time.
#pragma once

#include <brood/archive.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "channel/link.hpp"
#include "pool/backend.hpp"
#include "wire/exception.hpp"
#include "wire/frame.hpp"

namespace brood::engine::testing {

using channel::RingSizes;
using wire::FrameKind;
using wire::RecordStatus;

// A frame as the worker finds it. The payload of a streamed one comes by read_streamed().
struct Frame {
  FrameKind kind{};
  std::uint32_t function = 0;
  std::uint32_t count = 0;
  std::uint64_t length = 0;
  bool streamed = false;
  std::string payload;
  std::vector<std::string> items;  // of a task frame
};

// The worker's end, in the hands of a test. It keeps the protocol unless it is told otherwise.
class FakeWorker {
 public:
  FakeWorker(int memory_fd, const RingSizes& sizes, std::uint64_t epoch_) : epoch(epoch_), link(memory_fd, sizes) {}

  const std::uint64_t epoch;
  channel::WorkerEnd link;
  bool told_to_end = false;            // the dispatcher killed it
  std::function<void()> ring = [] {};  // the doorbell, where the dispatcher may sleep

  channel::Words& words() { return link.words(); }
  std::uint64_t sequence() const { return sequence_; }

  // The next frame, if there is one. It stays in the ring until release().
  std::optional<Frame> next_frame() {
    const auto window = link.tasks.window();
    if (window.size() < sizeof(wire::FrameHeader)) return std::nullopt;
    wire::FrameHeader header{};
    std::memcpy(&header, window.data(), sizeof header);
    link.tasks.consume(sizeof header);
    Frame frame{.kind = header.kind(),
                .function = header.function,
                .count = header.count,
                .length = header.length(),
                .streamed = false,
                .payload = {},
                .items = {}};
    const std::size_t whole = sizeof header + static_cast<std::size_t>(wire::padded(frame.length));
    frame.streamed = whole > link.tasks.capacity() / 2;
    if (frame.streamed) return frame;
    const auto payload = window.subspan(sizeof header);
    EXPECT_GE(payload.size(), frame.length) << "a frame that does not stream must be whole";
    frame.payload.assign(reinterpret_cast<const char*>(payload.data()), static_cast<std::size_t>(frame.length));
    if (has_items(frame.kind)) frame.items = items_of(frame);
    link.tasks.consume(static_cast<std::size_t>(wire::padded(frame.length)));
    return frame;
  }
  void release() { link.tasks.release(); }

  // What of a streamed frame is there now, up to `most` bytes; it is released at once.
  std::size_t read_streamed(Frame& frame, std::size_t most = SIZE_MAX) {
    const auto window = link.tasks.fresh_window();
    const std::uint64_t left = wire::padded(frame.length) - frame.payload.size();
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>({window.size(), left, most}));
    frame.payload.append(reinterpret_cast<const char*>(window.data()), count);
    link.tasks.consume(count);
    link.tasks.release();
    if (frame.payload.size() == wire::padded(frame.length)) {
      frame.payload.resize(static_cast<std::size_t>(frame.length));
      if (frame.kind == FrameKind::task) frame.items = {frame.payload.substr(sizeof(std::uint32_t))};
      frame.streamed = false;
    }
    return count;
  }

  // The ledger: true if the task may begin.
  bool take() {
    words().taken.store(++sequence_, std::memory_order_seq_cst);
    return sequence_ < words().revoke_from.load(std::memory_order_seq_cst);
  }

  void answer(const std::string& value) { put(RecordStatus::value, sequence_, value); }
  void fail(const std::exception& what) {
    wire::Writer writer;
    wire::save_exception(writer, std::make_exception_ptr(std::runtime_error(what.what())));
    put(RecordStatus::error, sequence_, writer.take_string());
  }
  // This task and the rest of its frame, `count` together.
  void decline(std::uint32_t count) {
    put_word(wire::pack_record(RecordStatus::declined, sequence_, count));
    sequence_ += count - 1;
  }
  void fail_init(const std::string& text) {
    wire::Writer writer;
    wire::save_exception(writer, std::make_exception_ptr(std::runtime_error(text)));
    put(RecordStatus::init_failed, 0, writer.take_string());
  }
  void become_ready() { words().state.store(channel::WorkerState::ready, std::memory_order_release); }
  // The clock readings that a real worker publishes.
  void publish_time(std::uint64_t tasks, std::uint64_t each_ns) {
    timed_ += tasks;
    busy_ns_ += tasks * each_ns;
    words().busy_ns.store(busy_ns_, std::memory_order_relaxed);
    words().timed_tasks.store(timed_, std::memory_order_release);
  }

  // Reads until a task frame is at hand, doing what control frames ask for. Nothing when there is none.
  std::optional<Frame> next_tasks() {
    while (auto frame = next_frame()) {
      frames.push_back(frame->kind);
      if (has_items(frame->kind)) return frame;
      if (frame->kind == FrameKind::init) become_ready();
      if (frame->kind == FrameKind::define && frame->streamed) return frame;
      release();
      if (frame->kind == FrameKind::stop) stopped = true;
    }
    return std::nullopt;
  }
  // Works off everything that is there: each item is answered with what `f` makes of it. The number of tasks.
  std::size_t work(const std::function<std::string(const std::string&)>& f = [](const std::string& x) { return x; }) {
    std::size_t done = 0;
    for (;;) {
      if (!stream_) {
        auto frame = next_tasks();
        if (!frame) return done;
        stream_ = std::move(*frame);
      }
      if (stream_->streamed && read_streamed(*stream_) == 0) return done;
      if (stream_->streamed) continue;
      const Frame frame = *std::exchange(stream_, std::nullopt);
      for (std::uint32_t i = 0; i < frame.items.size(); ++i) {
        if (!take()) {
          decline(frame.count - i);
          break;
        }
        answer(f(frame.items[i]));
        ++done;
      }
      release();
    }
  }

  void put(RecordStatus status, std::uint64_t sequence, const std::string& payload) {
    const std::size_t whole = 8 + static_cast<std::size_t>(wire::padded(payload.size()));
    const auto window = link.results.window(whole);
    ASSERT_GE(window.size(), whole) << "the result ring is full";
    const std::uint64_t word = wire::pack_record(status, sequence, payload.size());
    std::memcpy(window.data(), &word, sizeof word);
    std::memcpy(window.data() + sizeof word, payload.data(), payload.size());
    link.results.publish(whole);
  }
  void put_word(std::uint64_t word) { put_bytes(&word, sizeof word); }
  void put_bytes(const void* bytes, std::size_t size) {
    const auto window = link.results.window(size);
    ASSERT_GE(window.size(), size);
    std::memcpy(window.data(), bytes, size);
    link.results.publish(size);
  }

  std::vector<FrameKind> frames;  // seen by next_tasks()
  bool stopped = false;

 private:
  static bool has_items(FrameKind kind) {
    return kind == FrameKind::task || kind == FrameKind::posted || kind == FrameKind::batch || kind == FrameKind::block;
  }
  static std::vector<std::string> items_of(const Frame& frame) {
    std::vector<std::string> items;
    if (frame.kind == FrameKind::block) {
      const std::size_t size = static_cast<std::size_t>(frame.length / frame.count);
      for (std::uint32_t i = 0; i < frame.count; ++i) items.push_back(frame.payload.substr(i * size, size));
      return items;
    }
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < frame.count; ++i) {
      std::uint32_t length = 0;
      std::memcpy(&length, frame.payload.data() + at, sizeof length);
      at += sizeof length;
      if (length == wire::kRestOfFrame) length = static_cast<std::uint32_t>(frame.length - at);
      items.push_back(frame.payload.substr(at, length));
      at += length;
    }
    EXPECT_EQ(at, frame.length);
    return items;
  }

  std::uint64_t sequence_ = 0;
  std::uint64_t timed_ = 0, busy_ns_ = 0;
  std::optional<Frame> stream_;  // that work() is at
};

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(const RingSizes& sizes = {}) : sizes_(sizes) {}

  // What the next starts fail with, one after the other; 0: it succeeds.
  std::deque<int> start_errors;
  bool tells_starts = true;  // a started event comes by itself
  bool obeys_kill = true;    // an ended event follows a kill by itself
  unsigned starts = 0;       // asked for
  std::vector<unsigned> kills;
  std::map<unsigned, std::unique_ptr<FakeWorker>> workers;  // by slot: the living
  std::deque<WorkerEvent> events;

  FakeWorker& worker(unsigned slot) { return *workers.at(slot); }

  std::unique_ptr<channel::DispatcherEnd> start(unsigned slot, std::uint64_t epoch) override {
    ++starts;
    if (!start_errors.empty()) {
      const int error = start_errors.front();
      start_errors.pop_front();
      if (error != 0) throw std::system_error(error, std::generic_category(), "fake start");
    }
    const os::Fd memory = channel::make_channel_memory(sizes_);
    auto end = std::make_unique<channel::DispatcherEnd>(memory.get(), sizes_);
    workers[slot] = std::make_unique<FakeWorker>(memory.get(), sizes_, epoch);
    if (tells_starts) tell(WorkerEvent::Kind::started, slot);
    return end;
  }
  std::optional<WorkerEvent> next_event() override {
    if (events.empty()) return std::nullopt;
    const WorkerEvent event = events.front();
    events.pop_front();
    return event;
  }
  int event_fd() const noexcept override { return -1; }
  void kill(unsigned slot) noexcept override {
    kills.push_back(slot);
    if (workers.contains(slot)) workers[slot]->told_to_end = true;
    if (obeys_kill && workers.contains(slot)) die(slot, -9);
  }
  bool finish(os::Deadline) override { return true; }
  void terminate() noexcept override { terminated = true; }

  static pid_t pid_of(unsigned slot) { return static_cast<pid_t>(1000 + slot); }

  // The worker of the slot ends with this code. Its memory stays with the dispatcher.
  void die(unsigned slot, int code) {
    tell(WorkerEvent::Kind::ended, slot, code);
    workers.erase(slot);
  }
  void tell(WorkerEvent::Kind kind, unsigned slot, int code = 0) {
    WorkerEvent event;
    event.kind = kind;
    event.slot = slot;
    event.epoch = workers.at(slot)->epoch;
    event.pid = pid_of(slot);
    event.error = code;
    event.status.code = code;
    events.push_back(event);
  }

  bool terminated = false;

 private:
  const RingSizes sizes_;
};

}  // namespace brood::engine::testing
