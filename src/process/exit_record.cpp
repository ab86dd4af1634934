#include "process/exit_record.hpp"

#include <new>

#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "os/futex.hpp"
#include "os/memory.hpp"

namespace brood::proc {
namespace {

constexpr std::uint32_t kRecorded = 0x100;
constexpr int kSeen = 0x1000;  // more than any signal's number
// The parent needs a few microseconds to see to its side, less than a sleep and a wake-up cost.
constexpr int kSpins = 200;
constexpr auto kParentCheckInterval = std::chrono::milliseconds(100);

struct Records {
  os::Fd file;
  std::uint32_t count = 0;
  std::vector<ExitRecord*> free;   // has room for all of them
  std::vector<ExitRecord*> limbo;  // likewise: released, but somebody may still write a verdict there
};
// Never destroyed: children end after main().
constinit Records* made = nullptr;
Records& records() {
  if (made == nullptr) made = new Records;
  return *made;
}

std::uint32_t records_in_page() { return static_cast<std::uint32_t>(os::page_size() / sizeof(ExitRecord)); }

// Never unmapped: a child may be about to write its code at any time, and the page is used again.
ExitRecord* map_page(int file, std::uint32_t page) {
  os::Mapping memory = os::Mapping::shared(file, page * os::page_size(), os::page_size(), os::Access::read_write);
  return std::launder(reinterpret_cast<ExitRecord*>(memory.release()));
}

}  // namespace

int ExitRecord::file() {
  Records& all = records();
  if (!all.file) all.file = os::make_growing_memfd("brood-exits", os::page_size());
  return all.file.get();
}

ExitRecord* ExitRecord::allocate() {
  static_assert(sizeof(ExitRecord) == 16);
  Records& all = records();
  if (all.free.empty()) {
    std::erase_if(all.limbo, [&](ExitRecord* record) {
      if (record->may_be_written()) return false;
      all.free.push_back(record);
      return true;
    });
  }
  if (all.free.empty()) {
    const std::uint32_t more = records_in_page();
    const int fd = file();
    if (all.count > 0) os::grow_memfd(fd, (all.count / more + 1) * os::page_size());
    all.free.reserve(all.count + more);
    all.limbo.reserve(all.count + more);
    ExitRecord* const page = map_page(fd, all.count / more);
    for (std::uint32_t i = 0; i < more; ++i) {
      auto* const record = new (page + i) ExitRecord;
      record->number_ = all.count++;
      all.free.push_back(record);
    }
  }
  ExitRecord* const record = all.free.back();
  all.free.pop_back();
  record->gate_.store(kUndecided, std::memory_order_relaxed);
  record->code_.store(0, std::memory_order_relaxed);
  record->verdict_.store(0, std::memory_order_relaxed);
  return record;
}

void ExitRecord::release() noexcept {
  Records& all = records();
  (may_be_written() ? all.limbo : all.free).push_back(this);
}

void ExitRecord::forget_all() noexcept {
  if (made == nullptr) return;
  made->file.reset();
  made->count = 0;
  made->free.clear();
  made->limbo.clear();
}

ExitRecord& ExitRecords::at(std::uint32_t number) {
  const std::uint32_t page = number / records_in_page();
  if (pages_.size() <= page) pages_.resize(page + 1);
  if (pages_[page] == nullptr) pages_[page] = map_page(file_.get(), page);
  return pages_[page][number % records_in_page()];
}

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

bool ExitRecord::may_be_written() const noexcept {
  return gate_.load(std::memory_order_relaxed) == kReapedElsewhere && verdict_.load(std::memory_order_acquire) == 0;
}

void ExitRecord::expect_verdict(bool expected) noexcept {
  gate_.store(expected ? kReapedElsewhere : kUndecided, std::memory_order_relaxed);
}

void ExitRecord::set_verdict(int code) noexcept {
  verdict_.store(static_cast<std::uint32_t>(kSeen + code), std::memory_order_release);
  os::futex_wake(verdict_, 1);
}

std::optional<int> ExitRecord::wait_for_verdict(os::Deadline deadline) const {
  std::uint32_t seen = 0;
  while ((seen = verdict_.load(std::memory_order_acquire)) == 0) {
    if (!os::futex_wait(verdict_, 0, deadline)) return std::nullopt;
  }
  return static_cast<int>(seen) - kSeen;
}

}  // namespace brood::proc
