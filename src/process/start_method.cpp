#include <brood/process.hpp>

#include <atomic>

#include "os/cpu.hpp"

namespace brood {
namespace {

constinit std::atomic<StartMethod> start_method{StartMethod::fork};

}  // namespace

// A child of fork never comes through main(), so there is nothing to take over here.
void init(int /*argc*/, char** /*argv*/) {}

void set_start_method(StartMethod method) {
  if (method != StartMethod::fork) {
    throw ProcessError("brood::set_start_method: this version can start processes by fork only");
  }
  start_method.store(method, std::memory_order_relaxed);
}

StartMethod get_start_method() noexcept { return start_method.load(std::memory_order_relaxed); }

std::vector<StartMethod> get_all_start_methods() { return {StartMethod::fork}; }

unsigned cpu_count() { return os::cpu_count(); }

}  // namespace brood
