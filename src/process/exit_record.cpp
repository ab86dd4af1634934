#include "process/exit_record.hpp"

#include <new>

#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "os/futex.hpp"
#include "os/memory.hpp"

namespace brood::proc {
namespace {

constexpr std::uint32_t kRecorded = 0x100;
// The parent needs a few microseconds to see to its side, less than a sleep and a wake-up cost.
constexpr int kSpins = 200;
constexpr auto kParentCheckInterval = std::chrono::milliseconds(100);

constinit ExitRecord* first_free = nullptr;

}  // namespace

ExitRecord* ExitRecord::allocate() {
  if (first_free == nullptr) {
    // Never unmapped: a child may be about to write its code at any time, and the page is used again.
    static_assert(sizeof(ExitRecord) <= 16);
    os::Mapping page = os::Mapping::anonymous_shared(os::page_size());
    auto* const records = reinterpret_cast<ExitRecord*>(page.data());
    for (std::size_t i = 0; i < page.size() / sizeof(ExitRecord); ++i) {
      auto* const record = new (records + i) ExitRecord;
      record->next_free_ = first_free;
      first_free = record;
    }
    page.release();
  }
  ExitRecord* const record = first_free;
  first_free = record->next_free_;
  record->gate_.store(kUndecided, std::memory_order_relaxed);
  record->code_.store(0, std::memory_order_relaxed);
  return record;
}

void ExitRecord::release() noexcept {
  next_free_ = first_free;
  first_free = this;
}

void ExitRecord::forget_all() noexcept { first_free = nullptr; }

void ExitRecord::give_go_ahead(bool go) noexcept {
  if (gate_.exchange(go ? kGo : kStop, std::memory_order_acq_rel) == kAwaited) os::futex_wake(gate_, 1);
}

bool ExitRecord::wait_for_go_ahead(pid_t parent) {
  for (int i = 0; i < kSpins && gate_.load(std::memory_order_relaxed) == kUndecided; ++i) os::cpu_relax();
  std::uint32_t seen = kUndecided;
  gate_.compare_exchange_strong(seen, kAwaited, std::memory_order_acq_rel);
  while ((seen = gate_.load(std::memory_order_acquire)) == kAwaited) {
    // A parent that was killed in this moment wakes nobody.
    os::futex_wait(gate_, kAwaited, os::Deadline::after(kParentCheckInterval));
    if (!os::is_parent(parent) && gate_.load(std::memory_order_acquire) == kAwaited) return false;
  }
  return seen == kGo;
}

void ExitRecord::set_code(int code) noexcept {
  code_.store(kRecorded | (static_cast<std::uint32_t>(code) & 0xFF), std::memory_order_release);
}

std::optional<int> ExitRecord::code() const noexcept {
  const std::uint32_t code = code_.load(std::memory_order_acquire);
  if (code == 0) return std::nullopt;
  return static_cast<int>(code & 0xFF);
}

}  // namespace brood::proc
