// How many CPUs this process may use.
#pragma once

#include <string>

namespace brood::os {

// The smaller of the CPUs in the affinity mask and the cgroup's quota (v1 and v2, rounded up, the tightest on the way
// to the root); at least 1. Asked afresh each time.
unsigned cpu_count();

// The quota alone: CPUs per period, 0 when there is no limit. `root` is put before every path, for tests (""
// otherwise).
double cgroup_cpu_limit(const std::string& root);

// Tells the CPU that this is a spin loop.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace brood::os
