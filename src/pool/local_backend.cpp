#include "pool/local_backend.hpp"

#include <system_error>
#include <utility>
#include <vector>

#include "os/async_safe.hpp"
#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "pool/worker.hpp"
#include "wire/module.hpp"

namespace brood::engine {
namespace {

constexpr unsigned kSlotBits = 16;
constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << kSlotBits) - 1;
constexpr int kKilled = -9;
constexpr std::int64_t kDyingNs = 1'000'000'000;
// For workers that were being made when the template died, and whose pid nobody knows.
constexpr std::int64_t kUnknownDyingNs = 50'000'000;

}  // namespace

LocalBackend::LocalBackend(const channel::RingSizes& sizes, int page_fd, int doorbell_fd)
    : sizes_(sizes), page_fd_(page_fd), doorbell_fd_(doorbell_fd) {
  make_template();
}

LocalBackend::~LocalBackend() = default;

int LocalBackend::child_main(void* self, std::uint64_t, std::vector<os::Fd> fds) {
  wire::trust_remembered_modules();
  const auto& backend = *static_cast<const LocalBackend*>(self);
  channel::WorkerEnd link(fds.at(0).get(), backend.sizes_);
  fds.clear();
  channel::PoolPage page(backend.page_fd_, os::Access::read);
  os::Event doorbell = os::Event::adopt(os::Fd(backend.doorbell_fd_));
  os::exit_process(serve(link, page, doorbell));  // not unmapping first what ends anyway
}

void LocalBackend::make_template() {
  wire::remember_modules();
  template_ = std::make_unique<proc::TemplateProcess>(&child_main, this);
  living_.store(template_.get(), std::memory_order_release);
}

std::unique_ptr<channel::DispatcherEnd> LocalBackend::start(unsigned slot, std::uint64_t epoch) {
  if (terminated_.load())
    throw std::system_error(std::make_error_code(std::errc::owner_dead), "the pool was terminated");
  const os::Fd memory = channel::make_channel_memory(sizes_);
  auto end = std::make_unique<channel::DispatcherEnd>(memory.get(), sizes_);
  if (!template_) make_template();
  children_[slot] = Child{.epoch = epoch, .pid = 0, .pidfd = {}, .kill_wanted = false};
  const int fd = memory.get();
  // A template that is dead already says so in next_event(), and this worker ends with the others.
  template_->spawn((epoch << kSlotBits) | slot, std::span(&fd, 1));
  return end;
}

std::optional<WorkerEvent> LocalBackend::next_event() {
  while (events_.empty() && template_) {
    auto event = template_->next_event();
    if (!event) break;
    if (event->kind == proc::ChildEvent::Kind::template_died) {
      lose_template();
      break;
    }
    WorkerEvent out;
    out.slot = static_cast<unsigned>(event->id & kSlotMask);
    out.epoch = event->id >> kSlotBits;
    out.pid = event->pid;
    const auto child = children_.find(out.slot);
    const bool current = child != children_.end() && child->second.epoch == out.epoch;
    switch (event->kind) {
      case proc::ChildEvent::Kind::spawned:
        out.kind = WorkerEvent::Kind::started;
        if (current) {
          child->second.pid = event->pid;
          child->second.pidfd = std::move(event->pidfd);
          if (child->second.kill_wanted) os::kill_pidfd(child->second.pidfd.get());
        }
        break;
      case proc::ChildEvent::Kind::failed:
        out.kind = WorkerEvent::Kind::not_started;
        out.error = event->error;
        if (current) children_.erase(child);
        break;
      default:
        out.kind = WorkerEvent::Kind::ended;
        out.status = event->status;
        if (current) children_.erase(child);
    }
    events_.push_back(out);
  }
  if (events_.empty()) return std::nullopt;
  const WorkerEvent event = events_.front();
  events_.pop_front();
  return event;
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
    if (child.pidfd) os::wait_for_exit(child.pidfd.get(), os::now_ns() + kDyingNs);
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

int LocalBackend::event_fd() const noexcept { return template_ ? template_->event_fd() : -1; }

void LocalBackend::kill(unsigned slot) noexcept {
  const auto child = children_.find(slot);
  if (child == children_.end()) return;
  child->second.kill_wanted = true;
  if (child->second.pidfd) os::kill_pidfd(child->second.pidfd.get());
}

bool LocalBackend::finish(os::Deadline deadline) { return !template_ || template_->finish(deadline); }

void LocalBackend::terminate() noexcept {
  terminated_.store(true, std::memory_order_seq_cst);
  terminators_.fetch_add(1, std::memory_order_seq_cst);
  if (proc::TemplateProcess* const living = living_.load(std::memory_order_seq_cst)) living->terminate_now();
  terminators_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace brood::engine
