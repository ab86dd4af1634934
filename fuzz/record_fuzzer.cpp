// What a damaged worker may write: records, positions, its ledger, in any order, and its death. The dispatcher must
// kill it or be content, and answer every task exactly once.
#include <brood/error.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "pool/dispatcher.hpp"

namespace {

using namespace brood;
using namespace brood::engine;

constexpr channel::RingSizes kSizes{.tasks = 65536, .results = 8192};
constexpr std::uint64_t kTasks = 12;

class OneWorker final : public Backend {
 public:
  std::unique_ptr<channel::WorkerEnd> worker;
  bool killed = false;

  std::unique_ptr<channel::DispatcherEnd> start(unsigned slot, std::uint64_t epoch) override {
    const os::Fd memory = channel::make_channel_memory(kSizes);
    auto end = std::make_unique<channel::DispatcherEnd>(memory.get(), kSizes);
    worker = std::make_unique<channel::WorkerEnd>(memory.get(), kSizes);
    // As if it had been ready: it is replaced at once.
    worker->words().state.store(channel::WorkerState::ready);
    killed = false;
    slot_ = slot;
    epoch_ = epoch;
    return end;
  }
  std::optional<WorkerEvent> next_event() override {
    if (events_.empty()) return std::nullopt;
    const WorkerEvent event = events_.front();
    events_.pop_front();
    return event;
  }
  int event_fd() const noexcept override { return -1; }
  void kill(unsigned) noexcept override { killed = true; }
  bool finish(os::Deadline) override { return true; }
  void terminate() noexcept override {}

  void die() {
    WorkerEvent event;
    event.kind = WorkerEvent::Kind::ended;
    event.slot = slot_;
    event.epoch = epoch_;
    event.pid = 7;
    event.status.code = -9;
    events_.push_back(event);
    worker.reset();
  }

 private:
  unsigned slot_ = 0;
  std::uint64_t epoch_ = 0;
  std::deque<WorkerEvent> events_;
};

class CountingJob final : public Job {
 public:
  explicit CountingJob(const wire::FunctionRef& f) : Job(kOps, f) {}
  unsigned answers[kTasks] = {};
  bool ended = false;

 private:
  static void count(Job& job, std::uint64_t index) {
    if (index >= kTasks || ++static_cast<CountingJob&>(job).answers[index] > 1) std::abort();
  }
  static void fill(Job&, detail::FrameWriter&) { std::abort(); }
  static void value(Job& job, std::uint64_t index, wire::Reader& reader) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(reader.remaining()));
    reader.read(bytes.data(), bytes.size());
    count(job, index);
  }
  static void error(Job& job, std::uint64_t index, std::exception_ptr what) {
    if (!what) std::abort();
    count(job, index);
  }
  static bool satisfied(Job&) { return false; }
  static constexpr Ops kOps{&fill, &value, &error, &satisfied, nullptr, nullptr};
};

int any_task(int x) { return x; }

// Takes bytes from the input, zeros when it is at its end.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  template <class T>
  T take() {
    T value{};
    const std::size_t count = std::min(sizeof value, bytes_.size());
    std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }
  std::span<const std::uint8_t> take_bytes(std::size_t count) {
    const auto some = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(some.size());
    return some;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

Parcel* parcel_of(Job& job, std::uint64_t first, std::uint32_t count) {
  std::vector<std::byte> bytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t words[] = {4, i};
    const auto raw = std::as_bytes(std::span(words));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  auto* const parcel = new Parcel;
  parcel->job = &job;
  parcel->first = first;
  parcel->count = count;
  parcel->last = first + count == kTasks;
  parcel->copy(bytes);
  return parcel;
}

void one_act(Input& input, OneWorker& backend) {
  channel::Words& words = backend.worker->words();
  switch (input.take<std::uint8_t>() % 8) {
    case 0: {  // any bytes as records
      const auto bytes = input.take_bytes(8 * (1 + input.take<std::uint8_t>() % 16));
      const auto window = backend.worker->results.window(bytes.size());
      if (window.size() < bytes.size()) return;
      std::memcpy(window.data(), bytes.data(), bytes.size());
      backend.worker->results.publish(bytes.size());
      return;
    }
    case 1:
      words.result_tail.store(words.result_tail.load() + input.take<std::uint16_t>());
      return;
    case 2:
      words.result_tail.store(input.take<std::uint64_t>());
      return;
    case 3:
      words.task_head.store(input.take<std::uint64_t>());
      return;
    case 4:
      words.taken.store(input.take<std::uint8_t>());
      return;
    case 5:
      words.taken.store(input.take<std::uint64_t>());
      return;
    case 6: {  // a record that may be right
      const auto status = static_cast<wire::RecordStatus>(1 + input.take<std::uint8_t>() % 4);
      const std::uint64_t word = wire::pack_record(status, input.take<std::uint8_t>(), input.take<std::uint8_t>());
      const auto window = backend.worker->results.window(512);
      if (window.size() < 512) return;
      std::memcpy(window.data(), &word, sizeof word);
      backend.worker->results.publish(8 + static_cast<std::size_t>(wire::padded(wire::unpack_record(word).length)));
      return;
    }
    default:
      backend.die();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({data, size});
  OneWorker backend;
  const os::Fd page_memory = channel::make_pool_memory();
  channel::PoolPage page(page_memory.get(), os::Access::read_write);
  os::Event doorbell;
  Functions functions;
  Dispatcher dispatcher(
      {.processes = 1, .cpus = 1, .initializer = nullptr, .finalizer = nullptr}, backend, page, doorbell,
      [](Job& job) { static_cast<CountingJob&>(job).ended = true; }, [] {});
  dispatcher.start();
  int (*const function)(int) = &any_task;
  CountingJob job(detail::make_function_ref<int (*)(int), false, int>(function));
  job.known = functions.obtain(job.function);
  job.known->task_ns = 1'000;
  job.retries = input.take<std::uint8_t>() % 3;
  for (std::uint64_t first = 0; first < kTasks;) {
    const std::uint32_t count = 1 + static_cast<std::uint32_t>(first % 4);
    const auto most = static_cast<std::uint32_t>(kTasks - first);
    dispatcher.accept(parcel_of(job, first, std::min(count, most)));
    first += std::min(count, most);
  }
  while (!input.empty() && !job.ended) {
    dispatcher.step(nullptr);
    dispatcher.look_after_workers();
    if (backend.worker && backend.killed) backend.die();
    if (backend.worker) one_act(input, backend);
  }
  // Every worker that comes dies at its first task, so in the end the last task has its answer.
  for (int i = 0; !job.ended; ++i) {
    if (i > 10'000 && !dispatcher.broken()) std::abort();
    dispatcher.step(nullptr);
    dispatcher.look_after_workers();
    if (!backend.worker) continue;
    backend.worker->words().taken.store(1);
    backend.die();
  }
  for (const unsigned count : job.answers) {
    if (count != 1) std::abort();
  }
  if (dispatcher.outstanding() != 0) std::abort();
  return 0;
}
