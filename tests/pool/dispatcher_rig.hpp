// A dispatcher between a fake backend and jobs that write down what they get.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "pool/dispatcher.hpp"
#include "pool/fake_backend.hpp"

namespace brood::engine::testing {

using detail::FrameWriter;

inline int any_task(int x) { return x; }
inline wire::FunctionRef any_function() {
  return detail::make_function_ref<int (*)(int), false, int>(*[] {
    static int (*const function)(int) = &any_task;
    return &function;
  }());
}

// Its tasks are strings, and so are its results.
class NotingJob final : public Job {
 public:
  NotingJob() : Job(kOps, any_function()) {}

  std::vector<std::string> input;  // written when the dispatcher asks for it
  std::map<std::uint64_t, std::string> values;
  std::map<std::uint64_t, std::exception_ptr> errors;
  std::vector<std::uint64_t> order;  // of the answers
  unsigned ended = 0;
  std::size_t fails_at = SIZE_MAX;  // the input throws there

  // What kind of error the task has: the what() of it, or nothing.
  std::string error(std::uint64_t index) const {
    const auto found = errors.find(index);
    if (found == errors.end()) return {};
    try {
      std::rethrow_exception(found->second);
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  template <class E>
  std::set<std::uint64_t> indices_of() const {
    std::set<std::uint64_t> all;
    for (const auto& [index, what] : errors) {
      try {
        std::rethrow_exception(what);
      } catch (const E&) {
        all.insert(index);
      } catch (...) {
      }
    }
    return all;
  }
  std::size_t answers() const { return order.size(); }

 private:
  static NotingJob& of(Job& job) { return static_cast<NotingJob&>(job); }
  static void fill(Job& job, FrameWriter& frame) {
    NotingJob& self = of(job);
    while (frame.wants_more()) {
      const std::size_t index = static_cast<std::size_t>(job.next_index) + frame.count();
      if (index == self.fails_at) throw std::runtime_error("bad input");
      if (index == self.input.size()) break;
      const std::string& item = self.input[index];
      frame.begin().write(item.data(), item.size());
      if (!frame.end()) return;
    }
    if (job.next_index + frame.count() == self.input.size()) job.input_done = true;
  }
  void note(std::uint64_t index) {
    EXPECT_TRUE(answered_.insert(index).second) << "task " << index << " was answered twice";
    order.push_back(index);
  }
  static void value(Job& job, std::uint64_t index, wire::Reader& reader) {
    std::string text(static_cast<std::size_t>(reader.remaining()), '\0');
    reader.read(text.data(), text.size());
    of(job).values[index] = std::move(text);
    of(job).note(index);
  }
  static void error(Job& job, std::uint64_t index, std::exception_ptr what) {
    of(job).errors[index] = std::move(what);
    of(job).note(index);
  }
  static bool satisfied(Job& job) { return job.done.load(); }
  static constexpr Ops kOps{&fill, &value, &error, &satisfied, nullptr, nullptr};

  std::set<std::uint64_t> answered_;
};

// `count` tasks, from index `first` on, in one parcel.
inline Parcel* parcel_of(Job& job, std::uint64_t first, const std::vector<std::string>& items, bool last = true) {
  std::vector<std::byte> bytes;
  for (const std::string& item : items) {
    const std::uint32_t length =
        items.size() == 1 && item.size() > 60'000 ? wire::kRestOfFrame : static_cast<std::uint32_t>(item.size());
    const auto* const raw = reinterpret_cast<const std::byte*>(&length);
    bytes.insert(bytes.end(), raw, raw + sizeof length);
    const auto* const text = reinterpret_cast<const std::byte*>(item.data());
    bytes.insert(bytes.end(), text, text + item.size());
  }
  auto* const parcel = new Parcel;
  parcel->job = &job;
  parcel->first = first;
  parcel->count = static_cast<std::uint32_t>(items.size());
  parcel->last = last;
  parcel->copy(bytes);
  return parcel;
}

inline std::vector<std::string> texts(std::size_t count, const std::string& prefix = "t") {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(prefix + std::to_string(i));
  return all;
}

struct RigOptions {
  unsigned processes = 2;
  unsigned cpus = 2;
  RingSizes sizes = {};
  bool initializer = false;
};

class Rig {
 public:
  explicit Rig(const RigOptions& options = {})
      : backend(options.sizes),
        page_memory(channel::make_pool_memory()),
        page(page_memory.get(), os::Access::read_write) {
    DispatcherOptions how;
    how.processes = options.processes;
    how.cpus = options.cpus;
    if (options.initializer) how.initializer = functions.obtain(any_function());
    dispatcher = std::make_unique<Dispatcher>(
        how, backend, page, doorbell,
        [this](Job& job) {
          job.done.store(true);
          ++static_cast<NotingJob&>(job).ended;
          if (on_done) on_done(job);
        },
        [this] { ++news; });
  }

  FakeWorker& worker(unsigned slot) { return backend.worker(slot); }

  // A job that the dispatcher knows.
  NotingJob& prepare(NotingJob& job) {
    job.known = functions.obtain(job.function);
    return job;
  }
  // Hands over all of its tasks, one parcel for each.
  void submit(NotingJob& job, const std::vector<std::string>& items) {
    prepare(job);
    for (std::size_t i = 0; i < items.size(); ++i) {
      dispatcher->accept(parcel_of(job, i, {items[i]}, i + 1 == items.size()));
    }
  }
  void start() {
    dispatcher->start();
    dispatcher->look_after_workers();
  }
  // Until nothing moves. `mine` is fed from its input.
  void settle(NotingJob* mine = nullptr) {
    while (dispatcher->step(mine)) {
    }
    dispatcher->look_after_workers();
  }
  // One round of everybody's work. True if anything moved.
  bool play(NotingJob* mine = nullptr) {
    bool moved = dispatcher->step(mine);
    moved |= dispatcher->look_after_workers();
    for (auto& [slot, worker] : backend.workers) {
      const std::uint64_t before = worker->link.tasks.position();
      if (works(slot)) worker->work([](const std::string& item) { return item.substr(0, 64); });
      moved |= worker->link.tasks.position() != before;
    }
    return moved;
  }
  // Until everything is answered that can be: restarts are waited for.
  void finish(NotingJob* mine = nullptr) {
    for (int idle = 0; idle < 3;) {
      if (play(mine)) {
        idle = 0;
      } else if (backend.workers.size() < dispatcher->workers().size() && !dispatcher->broken() &&
                 !dispatcher->ended()) {
        ::usleep(200);
      } else {
        ++idle;
      }
    }
  }

  std::function<bool(unsigned slot)> works = [](unsigned) { return true; };
  FakeBackend backend;
  os::Fd page_memory;
  channel::PoolPage page;
  os::Event doorbell;
  Functions functions;
  std::unique_ptr<Dispatcher> dispatcher;
  std::function<void(Job&)> on_done;
  unsigned news = 0;
};

}  // namespace brood::engine::testing
