#include <brood/archive.hpp>

#include <atomic>

namespace brood::wire {
namespace {

using Advice = void (*)(void*, std::size_t) noexcept;
constinit std::atomic<Advice> advice{nullptr};

}  // namespace

void set_large_advice(Advice to) noexcept { advice.store(to, std::memory_order_relaxed); }

void prepare_large(void* data, std::size_t bytes) noexcept {
  if (const Advice give = advice.load(std::memory_order_relaxed)) give(data, bytes);
}

}  // namespace brood::wire
