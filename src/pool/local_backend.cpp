#include "pool/local_backend.hpp"

#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "os/async_safe.hpp"
#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "pool/worker.hpp"
#include "wire/module.hpp"

namespace brood::engine {
namespace {

// What a worker is called by: its slot, its channel and the lower half of its epoch.
constexpr unsigned kPartBits = 16;
constexpr std::uint64_t kPartMask = (std::uint64_t{1} << kPartBits) - 1;
constexpr std::uint64_t make_id(unsigned slot, unsigned channel, std::uint64_t epoch) noexcept {
  return (epoch << (2 * kPartBits)) | (std::uint64_t{channel} << kPartBits) | slot;
}
constexpr unsigned slot_of(std::uint64_t id) noexcept { return static_cast<unsigned>(id & kPartMask); }
constexpr unsigned channel_of(std::uint64_t id) noexcept { return static_cast<unsigned>(id >> kPartBits & kPartMask); }

// The descriptors of the template's context.
enum ContextFd : unsigned { kMemory, kPage, kDoorbell, kContextFds };

constexpr std::size_t kChannelsAtOnce = 8;
constexpr int kKilled = -9;
constexpr std::int64_t kDyingNs = 1'000'000'000;
// For workers that were being made when the template died, and whose pid nobody knows.
constexpr std::int64_t kUnknownDyingNs = 50'000'000;

}  // namespace

LocalBackend::LocalBackend(const channel::RingSizes& sizes, StartMethod method, int page_fd, int doorbell_fd)
    : sizes_(sizes),
      method_(method),
      page_fd_(page_fd),
      doorbell_fd_(doorbell_fd),
      generation_(os::fork_generation()),
      memory_(channel::make_growing_channel_memory(sizes, kChannelsAtOnce)),
      capacity_(kChannelsAtOnce) {
  make_template();
}

LocalBackend::~LocalBackend() {
  if (generation_ != os::fork_generation()) return;
  template_.reset();
  channel::discard_channel_memory(memory_.get(), sizes_, capacity_);
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the template's signature; other children keep them
int LocalBackend::child_main(void* context, std::uint64_t id, std::vector<os::Fd>) {
  wire::trust_remembered_modules();
  auto& given = *static_cast<proc::TemplateContext*>(context);
  channel::RingSizes sizes;
  std::memcpy(&sizes, given.bytes.data(), sizeof sizes);
  channel::WorkerEnd link(given.fds[kMemory].get(), sizes, channel_of(id));
  given.fds[kMemory].reset();  // a task must not reach the others' channels
  channel::PoolPage page(given.fds[kPage].get(), os::Access::read);
  os::Event doorbell = os::Event::adopt(std::move(given.fds[kDoorbell]));
  os::exit_process(serve(link, page, doorbell));  // not unmapping first what ends anyway
}

void LocalBackend::make_template() {
  wire::remember_modules();
  static_assert(std::is_trivially_copyable_v<channel::RingSizes>);
  std::string sizes(sizeof sizes_, '\0');
  std::memcpy(sizes.data(), &sizes_, sizeof sizes_);
  int fds[kContextFds];
  fds[kMemory] = memory_.get();
  fds[kPage] = page_fd_;
  fds[kDoorbell] = doorbell_fd_;
  template_ = std::make_unique<proc::TemplateProcess>(method_, &child_main, std::move(sizes), fds, "brood::Pool");
  living_.store(template_.get(), std::memory_order_release);
}

std::unique_ptr<channel::DispatcherEnd> LocalBackend::start(unsigned slot, std::uint64_t epoch) {
  if (terminated_.load())
    throw std::system_error(std::make_error_code(std::errc::owner_dead), "the pool was terminated");
  if (!template_) make_template();
  events_.reserve(children_.size() + 1);  // so that losing the template never fails for it
  const unsigned channel = obtain_channel();
  std::unique_ptr<channel::DispatcherEnd> end;
  try {
    end = std::make_unique<channel::DispatcherEnd>(mappings_[channel], sizes_);
    const std::uint64_t id = make_id(slot, channel, epoch);
    children_[slot] = Child{.id = id, .epoch = epoch, .channel = channel, .pidfd = {}};
    // A template that is dead already says so in next_event(), and this worker ends with the others.
    template_->spawn(id, {});
  } catch (...) {
    children_.erase(slot);
    free_.push_back(channel);
    throw;
  }
  return end;
}

// A channel that nobody uses.
unsigned LocalBackend::obtain_channel() {
  for (std::size_t i = free_.size(); i-- > 0;) {
    const unsigned channel = free_[i];
    if (mappings_[channel].use_count() > 1) continue;  // its last words have not been read yet
    free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
    channel::DispatcherEnd::renew(*mappings_[channel]);
    return channel;
  }
  const std::size_t channel = mappings_.size();
  if (channel > kPartMask) throw std::system_error(std::make_error_code(std::errc::no_buffer_space), "channels");
  free_.reserve(channel + 1);  // so that freeing one never fails
  if (channel == capacity_) {
    channel::grow_channel_memory(memory_.get(), sizes_, capacity_ + kChannelsAtOnce);
    capacity_ += kChannelsAtOnce;
  }
  mappings_.push_back(channel::DispatcherEnd::map(memory_.get(), sizes_, channel));
  return static_cast<unsigned>(channel);
}

std::optional<WorkerEvent> LocalBackend::next_event() {
  while (events_.empty() && template_) {
    auto event = template_->next_event();
    if (!event) break;
    if (event->kind == proc::ChildEvent::Kind::template_died) {
      lose_template();
      break;
    }
    if (const auto news = translate(std::move(*event))) return news;
  }
  if (events_.empty()) return std::nullopt;
  const WorkerEvent event = events_.back();
  events_.pop_back();
  return event;
}

// Needs no memory: what the template says is said once.
std::optional<WorkerEvent> LocalBackend::translate(proc::ChildEvent event) noexcept {
  const auto found = children_.find(slot_of(event.id));
  if (found == children_.end() || found->second.id != event.id) return std::nullopt;
  Child& child = found->second;
  WorkerEvent out;
  out.slot = found->first;
  out.epoch = child.epoch;
  out.pid = event.pid;
  if (event.kind == proc::ChildEvent::Kind::spawned) {
    out.kind = WorkerEvent::Kind::started;
    child.pid = event.pid;
    child.pidfd = std::move(event.pidfd);
    if (child.kill_wanted) kill(child);
    return out;
  }
  if (event.kind == proc::ChildEvent::Kind::failed) {
    out.kind = WorkerEvent::Kind::not_started;
    out.error = event.error;
  } else {
    out.kind = WorkerEvent::Kind::ended;
    out.status = event.status;
  }
  free_.push_back(child.channel);
  children_.erase(found);
  return out;
}

// The template is gone and the kernel kills its children. They count as ended only once they provably are: what they
// had might otherwise be run twice.
void LocalBackend::lose_template() {
  bool unknown = false;
  for (auto& [slot, child] : children_) {
    if (child.pidfd) {
      os::kill_pidfd(child.pidfd.get());
    } else {
      unknown = true;
    }
  }
  for (auto& [slot, child] : children_) {
    // Memory that somebody may still write is not used again.
    if (child.pidfd && os::wait_for_exit(child.pidfd.get(), os::now_ns() + kDyingNs)) free_.push_back(child.channel);
    WorkerEvent ended;
    ended.kind = WorkerEvent::Kind::ended;
    ended.slot = slot;
    ended.epoch = child.epoch;
    ended.pid = child.pid;
    ended.status.code = kKilled;
    events_.push_back(ended);
  }
  if (unknown) os::sleep_until(os::Deadline::at(os::now_ns() + kUnknownDyingNs));
  children_.clear();
  living_.store(nullptr, std::memory_order_seq_cst);
  while (terminators_.load(std::memory_order_seq_cst) > 0) os::cpu_relax();  // a bounded while
  template_.reset();
}

int LocalBackend::event_fd() const noexcept {
  if (!events_.empty()) return page_fd_;  // a file of memory: always readable
  if (!template_) return -1;
  return template_->has_event() ? page_fd_ : template_->event_fd();
}

void LocalBackend::kill(unsigned slot) noexcept {
  const auto child = children_.find(slot);
  if (child == children_.end()) return;
  child->second.kill_wanted = true;
  kill(child->second);
}

void LocalBackend::kill(Child& child) noexcept {
  if (child.pidfd) return os::kill_pidfd(child.pidfd.get());
  if (child.pid == 0) return;
  try {
    template_->kill(child.id);
  } catch (const std::exception&) {
    // Neither a descriptor nor memory for a request: it goes on until the pool ends.
  }
}

bool LocalBackend::finish(os::Deadline deadline) { return !template_ || template_->finish(deadline); }

void LocalBackend::terminate() noexcept {
  terminated_.store(true, std::memory_order_seq_cst);
  terminators_.fetch_add(1, std::memory_order_seq_cst);
  if (proc::TemplateProcess* const living = living_.load(std::memory_order_seq_cst)) living->terminate_now();
  terminators_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace brood::engine
