#include "os/cpu.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

unsigned affinity_count() {
  // The kernel refuses (EINVAL) a mask shorter than its own, which may be longer than cpu_set_t.
  for (std::size_t words = 16; words <= 4096; words *= 4) {
    std::vector<unsigned long> mask(words, 0);
    const std::size_t bytes = words * sizeof(unsigned long);
    auto* const set = reinterpret_cast<cpu_set_t*>(mask.data());
    if (call(Call::sched_getaffinity, [&] { return ::sched_getaffinity(0, bytes, set); }) == 0) {
      return static_cast<unsigned>(CPU_COUNT_S(bytes, set));
    }
    if (errno != EINVAL) break;
  }
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<unsigned>(online) : 1;
}

// The limit of one group: CPUs per period, 0 when there is none or the file is missing.
double limit_of_group(const std::string& directory, bool v2) {
  std::string quota = "max";
  double period = 0;
  if (v2) {
    std::ifstream(directory + "/cpu.max") >> quota >> period;
  } else {
    std::ifstream(directory + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(directory + "/cpu.cfs_period_us") >> period;
  }
  const double amount = quota == "max" ? 0 : std::strtod(quota.c_str(), nullptr);
  return amount > 0 && period > 0 ? amount / period : 0;
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

struct Mount {
  std::string group;  // the group that is at the mount point
  std::string point;
  bool v2 = false;
};

// The cgroup hierarchies that may hold a CPU quota.
std::vector<Mount> cpu_mounts(const std::string& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // id parent major:minor root point options [optional fields] - type source super-options
    std::istringstream words(line);
    std::string skip, type, options;
    Mount mount;
    words >> skip >> skip >> skip >> mount.group >> mount.point;
    while (words >> skip && skip != "-") {
    }
    words >> type >> skip >> options;
    mount.v2 = type == "cgroup2";
    if (mount.v2 || (type == "cgroup" && has_word(options, "cpu"))) mounts.push_back(mount);
  }
  return mounts;
}

// The path of this process's group in the hierarchy, "" when it is in none.
std::string own_group(const std::string& root, bool v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : has_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return {};
}

}  // namespace

double cgroup_cpu_limit(const std::string& root) {
  double tightest = 0;
  for (const Mount& mount : cpu_mounts(root)) {
    std::string group = own_group(root, mount.v2);
    // A container sees its own group as the root of the mount, while /proc may show the path outside.
    if (mount.group != "/" && group.compare(0, mount.group.size(), mount.group) == 0) {
      group.erase(0, mount.group.size());
    }
    for (;;) {
      const double limit = limit_of_group(root + mount.point + group, mount.v2);
      if (limit > 0 && (tightest == 0 || limit < tightest)) tightest = limit;
      if (group.empty()) break;
      group.erase(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
    }
  }
  return tightest;
}

unsigned cpu_count() {
  const unsigned allowed = affinity_count();
  const double quota = cgroup_cpu_limit("");
  if (quota <= 0 || quota >= allowed) return std::max(1U, allowed);
  return std::max(1U, static_cast<unsigned>(std::ceil(quota)));
}

}  // namespace brood::os
