// What may arrive as a task's arguments: the worker answers each task with a value or an error, in order, and goes on.
#include <brood/archive.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "os/event.hpp"
#include "pool/functions.hpp"
#include "pool/worker.hpp"
#include "wire/exception.hpp"
#include "wire/frame.hpp"

namespace {

using namespace brood;

constexpr channel::RingSizes kSizes{.tasks = 65536, .results = 65536};
constexpr std::size_t kMostItems = 16;

struct Order {
  std::string name;
  std::vector<std::pair<int, double>> lines;
  std::map<std::string, std::vector<std::string>> notes;
};

std::size_t total(const Order& order, int factor) {
  return order.name.size() + order.lines.size() * static_cast<std::size_t>(factor & 7) + order.notes.size();
}

void append(std::vector<std::byte>& bytes, const void* data, std::size_t size) {
  const auto* const raw = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), raw, raw + size);
}

void put_frame(channel::DispatcherEnd& end, wire::FrameKind kind, std::uint32_t function, std::uint32_t count,
               std::span<const std::byte> payload) {
  const wire::FrameHeader header = wire::make_frame_header(kind, function, count, payload.size());
  std::vector<std::byte> bytes;
  append(bytes, &header, sizeof header);
  append(bytes, payload.data(), payload.size());
  bytes.resize(static_cast<std::size_t>(wire::padded(bytes.size())));
  const auto window = end.tasks.window(bytes.size());
  if (window.size() < bytes.size()) std::abort();
  std::memcpy(window.data(), bytes.data(), bytes.size());
  end.tasks.publish(bytes.size());
}

// Each answer in its place, none missing.
void check_answers(channel::DispatcherEnd& end, std::size_t tasks) {
  auto window = end.results.fresh_window();
  for (std::size_t i = 1; i <= tasks; ++i) {
    if (window.size() < 8) std::abort();
    std::uint64_t word = 0;
    std::memcpy(&word, window.data(), sizeof word);
    const wire::Record record = wire::unpack_record(word);
    if (record.sequence != i || window.size() < 8 + wire::padded(record.length)) std::abort();
    wire::Reader reader(window.subspan(8, static_cast<std::size_t>(record.length)));
    if (record.status == wire::RecordStatus::value) {
      (void)wire::load<std::size_t>(reader);
      reader.finish();
    } else if (record.status != wire::RecordStatus::error || !wire::load_exception(reader, 1, i)) {
      std::abort();
    }
    window = window.subspan(8 + static_cast<std::size_t>(wire::padded(record.length)));
  }
  if (!window.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 12'000) return 0;
  const os::Fd memory = channel::make_channel_memory(kSizes);
  channel::DispatcherEnd dispatcher(memory.get(), kSizes);
  const os::Fd page_memory = channel::make_pool_memory();
  channel::PoolPage page(page_memory.get(), os::Access::read_write);

  engine::Functions functions;
  std::size_t (*const function)(const Order&, int) = &total;
  const engine::Function* const known =
      functions.obtain(detail::make_function_ref<std::size_t (*)(const Order&, int), false, Order, int>(function));
  put_frame(dispatcher, wire::FrameKind::init, 0, 0, {});
  put_frame(dispatcher, wire::FrameKind::define, known->number, 0, std::as_bytes(std::span(known->definition)));

  // The first byte says into how many items the rest is cut.
  const std::size_t items = 1 + data[0] % kMostItems;
  std::span<const std::uint8_t> rest(data + 1, size - 1);
  std::vector<std::byte> payload;
  for (std::size_t i = 0; i < items; ++i) {
    const std::size_t bytes = i + 1 == items ? rest.size() : rest.size() / (items - i);
    const std::uint32_t length = static_cast<std::uint32_t>(bytes);
    append(payload, &length, sizeof length);
    append(payload, rest.data(), bytes);
    rest = rest.subspan(bytes);
  }
  put_frame(dispatcher, data[0] % 2 == 0 ? wire::FrameKind::task : wire::FrameKind::batch, known->number,
            static_cast<std::uint32_t>(items), payload);
  put_frame(dispatcher, wire::FrameKind::stop, 0, 0, {});

  channel::WorkerEnd worker(memory.get(), kSizes);
  os::Event doorbell;
  if (engine::serve(worker, page, doorbell) != 0) std::abort();
  check_answers(dispatcher, items);
  return 0;
}
