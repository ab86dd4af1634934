#include <brood/process.hpp>

#include <atomic>

#include "os/cpu.hpp"

namespace brood {
namespace {

constinit std::atomic<StartMethod> start_method{StartMethod::fork};

}  // namespace

void set_start_method(StartMethod method) { start_method.store(method, std::memory_order_relaxed); }

StartMethod get_start_method() noexcept { return start_method.load(std::memory_order_relaxed); }

std::vector<StartMethod> get_all_start_methods() {
  return {StartMethod::fork, StartMethod::forkserver, StartMethod::spawn};
}

unsigned cpu_count() { return os::cpu_count(); }

}  // namespace brood
