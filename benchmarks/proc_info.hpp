// What /proc and the CPU clocks say about other processes.
#pragma once

#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

inline std::string slurp(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline pid_t parent_of(pid_t pid) {
  const std::string status = slurp("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("\nPPid:");
  if (at == std::string::npos) throw std::runtime_error("no /proc/" + std::to_string(pid) + "/status");
  return static_cast<pid_t>(std::stol(status.substr(at + 6)));
}

// The processes that take part in a pool's work: the caller, the workers, and the process the workers come from.
inline std::vector<pid_t> family_of(std::vector<pid_t> workers) {
  std::vector<pid_t> family = std::move(workers);
  if (!family.empty()) family.push_back(parent_of(family.front()));
  family.push_back(getpid());
  std::ranges::sort(family);
  family.erase(std::unique(family.begin(), family.end()), family.end());
  return family;
}

inline double clock_seconds(clockid_t clock) {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) throw std::runtime_error("a process ended while it was measured");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

inline double thread_cpu_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

inline double cpu_seconds(const std::vector<pid_t>& pids) {
  double seconds = 0;
  for (const pid_t pid : pids) {
    clockid_t clock{};
    if (clock_getcpuclockid(pid, &clock) != 0) throw std::runtime_error("process " + std::to_string(pid) + " is gone");
    seconds += clock_seconds(clock);
  }
  return seconds;
}

struct Memory {
  double pss_mib = 0;      // private pages, and each shared page divided by the number of those who map it
  double private_mib = 0;  // pages that nobody else maps
};

inline Memory memory_of(pid_t pid) {
  const std::string rollup = slurp("/proc/" + std::to_string(pid) + "/smaps_rollup");
  const auto mib = [&](const char* field) {
    const std::size_t at = rollup.find(std::string("\n") + field + ":");
    if (at == std::string::npos) throw std::runtime_error(std::string("no field in smaps_rollup: ") + field);
    return std::stod(rollup.substr(at + std::strlen(field) + 2)) / 1024;
  };
  return {mib("Pss"), mib("Private_Clean") + mib("Private_Dirty")};
}

}  // namespace bench
